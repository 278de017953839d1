"""confluent-kafka in both group protocols: a group of two, a pipe of transactions of which every third is aborted, and the group's administration."""

import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

RECORDS, PARTITIONS, LIMIT = 400, 4, 120
BROKER = sys.argv[1]


def members(topic, settings):
    """Two members read the whole topic and have half of its partitions each."""
    got, owned, stop, failures = {}, {}, threading.Event(), []

    def member(name):
        consumer = Consumer(settings)
        consumer.subscribe([topic])
        while not stop.is_set():
            message = consumer.poll(0.1)
            owned[name] = len(consumer.assignment())
            if message is None:
                continue
            if message.error():
                failures.append(message.error())
                continue
            got[message.value()] = True
            consumer.commit(message, asynchronous=False)
        consumer.close()

    threads = [threading.Thread(target=member, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    until = time.time() + LIMIT
    while time.time() < until and not (len(got) == RECORDS and list(owned.values()) == [PARTITIONS / 2] * 2):
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(got) == RECORDS and list(owned.values()) == [PARTITIONS / 2] * 2 and not failures, (len(got), owned, failures)


def pipe(source, target, settings):
    """Moves all records in transactions; what is committed is there once, and so are the offsets."""
    consumer = Consumer(settings)
    consumer.subscribe([source])
    producer = Producer({"bootstrap.servers": BROKER, "transactional.id": settings["group.id"]})
    producer.init_transactions(LIMIT)
    moved = rounds = 0
    until = time.time() + LIMIT
    while moved < RECORDS:
        assert time.time() < until, moved
        messages = [m for m in consumer.consume(50, 0.5) if not m.error()]
        if not messages:
            continue
        rounds += 1
        producer.begin_transaction()
        for m in messages:
            producer.produce(target, m.value(), m.key())
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), LIMIT)
        if rounds % 3 == 0:
            producer.flush()
            producer.abort_transaction(LIMIT)
            for p in consumer.committed(consumer.assignment()):
                consumer.seek(TopicPartition(p.topic, p.partition, max(p.offset, 0)))
            continue
        producer.commit_transaction(LIMIT)
        moved += len(messages)
    committed = consumer.committed([TopicPartition(source, p) for p in range(PARTITIONS)])
    assert sum(p.offset for p in committed) == RECORDS, committed
    consumer.close()

    reader = Consumer({**settings, "group.id": settings["group.id"] + "-reader", "enable.partition.eof": True})
    reader.assign([TopicPartition(target, p, 0) for p in range(PARTITIONS)])
    seen, ends = [], 0
    while ends < PARTITIONS:
        message = reader.poll(LIMIT)
        assert message is not None, len(seen)
        if message.error():
            ends += 1
        else:
            seen.append(message.value())
    reader.close()
    assert len(seen) == len(set(seen)) == RECORDS, (len(seen), len(set(seen)))


def run(protocol):
    name = "confluent-" + protocol
    settings = {"bootstrap.servers": BROKER, "group.id": name, "auto.offset.reset": "earliest", "enable.auto.commit": False, "isolation.level": "read_committed"}
    if protocol == "consumer":
        settings["group.protocol"] = "consumer"
    else:
        settings.update({"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 30000, "heartbeat.interval.ms": 300})
    admin = AdminClient({"bootstrap.servers": BROKER})
    source, target = name + "-in", name + "-out"
    for made in admin.create_topics([NewTopic(source, PARTITIONS, 1), NewTopic(target, PARTITIONS, 1)]).values():
        made.result()
    producer = Producer({"bootstrap.servers": BROKER})
    for n in range(RECORDS):
        producer.produce(source, str(n), str(n), partition=n % PARTITIONS)
    producer.flush()

    members(source, settings)
    pipe(source, target, {**settings, "group.id": name + "-pipe"})

    assert name in [g.group_id for g in admin.list_consumer_groups().result().valid]
    assert admin.describe_consumer_groups([name])[name].result().state.name == "EMPTY"
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result().topic_partitions
    assert sum(p.offset for p in offsets) == RECORDS, offsets
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(name, [TopicPartition(source, 0, 1)])])[name].result()
    admin.delete_consumer_groups([name])[name].result()


run("classic")
run("consumer")
print("confluent-kafka did what it should")
