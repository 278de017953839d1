// kafkajs: a group of two, a pipe of transactions of which one is aborted, and the group's administration.
const { Kafka, logLevel } = require('kafkajs');

const RECORDS = 300;
const PARTITIONS = 4;
const kafka = new Kafka({ brokers: process.argv[2].split(','), clientId: 'pipe', logLevel: logLevel.NOTHING });
const quick = { sessionTimeout: 30000, rebalanceTimeout: 30000, heartbeatInterval: 300, maxWaitTimeInMs: 200 };

function check(holds, what) {
  if (!holds) throw new Error(what);
}

async function until(what, holds) {
  const end = Date.now() + 40000;
  while (!holds()) {
    check(Date.now() < end, `waited for ${what()}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

// Two members read the whole topic and have half of its partitions each.
async function members(admin, topic, groupId) {
  const got = new Set();
  const owned = {};
  const consumers = [];
  for (const name of ['a', 'b']) {
    const consumer = kafka.consumer({ groupId, ...quick });
    consumers.push(consumer);
    consumer.on(consumer.events.GROUP_JOIN, (e) => { owned[name] = (e.payload.memberAssignment[topic] || []).length; });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => { got.add(message.value.toString()); } });
  }
  await until(() => `the group: ${got.size} records, ${JSON.stringify(owned)}`, () => got.size === RECORDS && owned.a === PARTITIONS / 2 && owned.b === PARTITIONS / 2);
  const { groups } = await admin.describeGroups([groupId]);
  check(groups[0].members.length === 2, JSON.stringify(groups));
  for (const consumer of consumers) await consumer.disconnect();
}

// Moves all records in transactions; what is committed is there once.
async function pipe(source, target, groupId) {
  const producer = kafka.producer({ transactionalId: groupId, maxInFlightRequests: 1, idempotent: true });
  const consumer = kafka.consumer({ groupId, readUncommitted: false, ...quick });
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topic: source, fromBeginning: true });
  let moved = 0;
  let rounds = 0;
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset }) => {
      rounds++;
      const transaction = await producer.transaction();
      const last = batch.messages[batch.messages.length - 1].offset;
      await transaction.send({ topic: target, messages: batch.messages.map(({ value }) => ({ value })) });
      await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic: source, partitions: [{ partition: batch.partition, offset: (BigInt(last) + 1n).toString() }] }] });
      if (rounds === 2) {
        await transaction.abort();
        consumer.seek({ topic: source, partition: batch.partition, offset: batch.messages[0].offset });
        return;
      }
      await transaction.commit();
      resolveOffset(last);
      moved += batch.messages.length;
    },
  });
  await until(() => `the pipe: ${moved} records`, () => moved >= RECORDS);
  await consumer.disconnect();
  await producer.disconnect();

  const reader = kafka.consumer({ groupId: `${groupId}-reader`, readUncommitted: false, ...quick });
  const seen = [];
  await reader.connect();
  await reader.subscribe({ topic: target, fromBeginning: true });
  await reader.run({ eachMessage: async ({ message }) => { seen.push(message.value.toString()); } });
  await until(() => `the output: ${seen.length} records`, () => seen.length >= RECORDS);
  await reader.disconnect();
  check(seen.length === RECORDS && new Set(seen).size === RECORDS, `${seen.length} records came, ${new Set(seen).size} of them different`);
}

async function main() {
  const admin = kafka.admin();
  const producer = kafka.producer();
  await admin.connect();
  await producer.connect();
  await admin.createTopics({ topics: ['in', 'out'].map((topic) => ({ topic, numPartitions: PARTITIONS })) });
  await producer.send({ topic: 'in', messages: [...Array(RECORDS).keys()].map((n) => ({ key: `${n}`, value: `${n}`, partition: n % PARTITIONS })) });
  await producer.disconnect();

  await members(admin, 'in', 'readers');
  await pipe('in', 'out', 'pipe');

  const [offsets] = await admin.fetchOffsets({ groupId: 'pipe', topics: ['in'] });
  check(offsets.partitions.reduce((sum, p) => sum + Number(p.offset), 0) === RECORDS, JSON.stringify(offsets));
  await admin.setOffsets({ groupId: 'readers', topic: 'in', partitions: [{ partition: 0, offset: '1' }] });
  await admin.deleteGroups(['readers']);
  await admin.disconnect();
  console.log('kafkajs did what it should');
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
