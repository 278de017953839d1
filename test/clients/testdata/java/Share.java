import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A queue: records are shared among consumers, acknowledged one by one, released to others, refused, and never seen again once accepted. */
public final class Share {
    private static final int PARTITIONS = 2;
    private static final int RECORDS = 400;

    public static void main(String[] args) throws Exception {
        String broker = args[0];
        Clients.topics(broker, PARTITIONS, "queue", "queue-committed");
        Clients.topics(broker, 1, "queue-locks");
        implicitConsumersShareTheWork(broker);
        explicitConsumerDecidesOfEachRecord(broker);
        recordOfOneWhoIsSilentGoesToAnother(broker);
        readCommittedQueueLeavesTheAbortedOut(broker);
        System.out.println("the queues did what they should");
    }

    private static KafkaShareConsumer<String, String> consumer(String broker, String group, String... pairs) {
        Properties p = Clients.settings(broker, "group.id", group);
        p.putAll(Clients.settings(broker, pairs));
        return new KafkaShareConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }

    private static void group(String broker, String group, String... pairs) throws Exception {
        try (Admin admin = Clients.admin(broker)) {
            List<AlterConfigOp> ops = new ArrayList<>();
            for (int i = 0; i < pairs.length; i += 2) {
                ops.add(new AlterConfigOp(new ConfigEntry(pairs[i], pairs[i + 1]), AlterConfigOp.OpType.SET));
            }
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), ops)).all().get();
        }
    }

    private static void implicitConsumersShareTheWork(String broker) throws Exception {
        group(broker, "workers", "share.auto.offset.reset", "earliest");
        Clients.fill(broker, "queue", PARTITIONS, 0, RECORDS);
        Map<String, Integer> seen = new HashMap<>();
        try (KafkaShareConsumer<String, String> a = consumer(broker, "workers", "max.poll.records", "20");
                KafkaShareConsumer<String, String> b = consumer(broker, "workers", "max.poll.records", "20");
                KafkaShareConsumer<String, String> c = consumer(broker, "workers", "max.poll.records", "20")) {
            List<KafkaShareConsumer<String, String>> workers = List.of(a, b, c);
            workers.forEach(w -> w.subscribe(List.of("queue")));
            Clients.await("all records, at one or the other", () -> {
                workers.forEach(w -> w.poll(Clients.POLL).forEach(r -> seen.merge(r.value(), 1, Integer::sum)));
                return seen.size() == RECORDS;
            });
            workers.forEach(KafkaShareConsumer::commitSync);
        }
        Clients.check(seen.values().stream().allMatch(n -> n == 1), "a record was delivered twice");
        try (KafkaShareConsumer<String, String> late = consumer(broker, "workers")) {
            late.subscribe(List.of("queue"));
            for (int i = 0; i < 8; i++) {
                Clients.equal(late.poll(Clients.POLL).count(), 0, "records after all were accepted");
            }
        }
        try (Admin admin = Clients.admin(broker)) {
            Clients.equal(admin.describeShareGroups(List.of("workers")).all().get().get("workers").groupState().toString(), "Empty", "the group's state");
            admin.deleteShareGroups(List.of("workers")).all().get();
        }
    }

    /** Of ten records two are released and come again, counted as a second delivery; three are rejected and do not. */
    private static void explicitConsumerDecidesOfEachRecord(String broker) throws Exception {
        group(broker, "deciders", "share.auto.offset.reset", "earliest");
        AtomicInteger acknowledged = new AtomicInteger();
        Map<Integer, Short> deliveries = new HashMap<>();
        try (KafkaShareConsumer<String, String> in = consumer(broker, "deciders", "share.acknowledgement.mode", "explicit")) {
            in.setAcknowledgementCommitCallback((offsets, error) -> {
                Clients.check(error == null, "an acknowledgement failed: " + error);
                offsets.values().forEach(o -> acknowledged.addAndGet(o.size()));
            });
            in.subscribe(List.of("queue"));
            Set<Integer> done = new HashSet<>();
            Clients.await("a decision of each record", () -> {
                for (ConsumerRecord<String, String> r : in.poll(Clients.POLL)) {
                    int n = Integer.parseInt(r.value());
                    short delivery = r.deliveryCount().get();
                    deliveries.merge(n, delivery, (x, y) -> y);
                    AcknowledgeType type = n % 10 < 2 && delivery == 1 ? AcknowledgeType.RELEASE : n % 10 < 5 && n % 10 >= 2 ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT;
                    in.acknowledge(r, type);
                    if (type != AcknowledgeType.RELEASE) {
                        Clients.check(done.add(n), "record " + n + " came again after the decision");
                    }
                }
                in.commitSync().forEach((p, error) -> Clients.check(error.isEmpty(), "commit of " + p + ": " + error));
                return done.size() == RECORDS;
            });
        }
        deliveries.forEach((n, count) -> Clients.equal((int) count, n % 10 < 2 ? 2 : 1, "deliveries of record " + n));
        Clients.equal(acknowledged.get(), RECORDS + RECORDS / 5, "acknowledgements");
    }

    /** A consumer that takes a record and never says anything loses it when its lock ends; one that renews keeps it. */
    private static void recordOfOneWhoIsSilentGoesToAnother(String broker) throws Exception {
        group(broker, "locks", "share.auto.offset.reset", "earliest", "share.record.lock.duration.ms", "1000");
        Clients.fill(broker, "queue-locks", 1, 0, 10);
        try (KafkaShareConsumer<String, String> silent = consumer(broker, "locks", "share.acknowledgement.mode", "explicit");
                KafkaShareConsumer<String, String> busy = consumer(broker, "locks")) {
            silent.subscribe(List.of("queue-locks"));
            Set<String> taken = new HashSet<>();
            Clients.await("records for the silent one", () -> {
                ConsumerRecords<String, String> some = silent.poll(Clients.POLL);
                some.forEach(r -> taken.add(r.value()));
                return !taken.isEmpty();
            });
            busy.subscribe(List.of("queue-locks"));
            Map<String, Short> got = new HashMap<>();
            Clients.await("all records at the other one", () -> {
                busy.poll(Clients.POLL).forEach(r -> got.put(r.value(), r.deliveryCount().get()));
                return got.size() == 10;
            });
            taken.forEach(v -> Clients.check(got.get(v) >= 2, "record " + v + " says delivery " + got.get(v)));
        }
    }

    private static void readCommittedQueueLeavesTheAbortedOut(String broker) throws Exception {
        group(broker, "committed", "share.auto.offset.reset", "earliest", "share.isolation.level", "read_committed");
        try (KafkaProducer<String, String> out = Clients.producer(broker, "transactional.id", "queue")) {
            out.initTransactions();
            for (int i = 0; i < 20; i++) {
                out.beginTransaction();
                for (int n = 0; n < 5; n++) {
                    out.send(new ProducerRecord<>("queue-committed", i % 2 == 0 ? "kept" : "lost", i + "-" + n));
                }
                if (i % 2 == 0) {
                    out.commitTransaction();
                } else {
                    out.flush();
                    out.abortTransaction();
                }
            }
        }
        Set<String> got = new HashSet<>();
        try (KafkaShareConsumer<String, String> in = consumer(broker, "committed")) {
            in.subscribe(List.of("queue-committed"));
            Clients.await("the committed records", () -> {
                in.poll(Clients.POLL).forEach(r -> {
                    Clients.equal(r.key(), "kept", "a delivered record");
                    Clients.check(got.add(r.value()), r.value() + " came twice");
                });
                return got.size() == 50;
            });
        }
    }
}
