import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Consumes, transforms and produces in transactions, of which every third is aborted, in the group protocol of the second argument:
 * every record must come out exactly once for those who read what is committed. Then a second producer takes the transactional id over.
 */
public final class Pipe {
    private static final int PARTITIONS = 3;
    private static final int RECORDS = 600;

    public static void main(String[] args) throws Exception {
        String broker = args[0];
        String protocol = args[1];
        String name = "pipe-" + protocol;
        String in = name + "-in";
        String out = name + "-out";
        Clients.topics(broker, PARTITIONS, in, out);
        Clients.fill(broker, in, PARTITIONS, 0, RECORDS);

        int aborted = move(broker, name, protocol, in, out);
        Clients.check(aborted > 0, "no transaction was aborted");

        Set<String> seen = new HashSet<>();
        for (ConsumerRecord<String, String> r : Clients.read(broker, out, "read_committed")) {
            Clients.check(seen.add(r.key()), r.key() + " came out twice");
            Clients.equal(r.value(), "2x" + r.key().substring(1), "the value of " + r.key());
        }
        Clients.equal(seen.size(), RECORDS, "records that came out");
        int all = Clients.read(broker, out, "read_uncommitted").size();
        Clients.check(all > RECORDS, "with the aborted there are only " + all + " records");

        try (Admin admin = Clients.admin(broker)) {
            Map<TopicPartition, OffsetAndMetadata> committed = admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get();
            Clients.ends(admin, Clients.partitions(in, PARTITIONS)).forEach((p, end) -> Clients.equal(committed.get(p).offset(), end, "committed in " + p));
            Clients.equal(admin.describeTransactions(List.of(name)).description(name).get().state(), TransactionState.COMPLETE_COMMIT, "the transaction's state");
        }
        fence(broker, name + "-fenced", out);
        System.out.println("moved " + RECORDS + " records, " + aborted + " transactions aborted");
    }

    /** Moves all records and returns how many transactions were aborted on the way. */
    private static int move(String broker, String name, String protocol, String in, String out) {
        int moved = 0;
        int aborted = 0;
        try (KafkaConsumer<String, String> consumer = Clients.consumer(broker, "group.id", name, "group.protocol", protocol, "isolation.level", "read_committed", "max.poll.records", "50");
                KafkaProducer<String, String> producer = Clients.producer(broker, "transactional.id", name)) {
            producer.initTransactions();
            consumer.subscribe(List.of(in));
            for (int round = 1, idle = 0; moved < RECORDS; round++) {
                ConsumerRecords<String, String> batch = consumer.poll(Clients.POLL);
                if (batch.isEmpty()) {
                    Clients.check(++idle < 200, "only " + moved + " records came");
                    continue;
                }
                Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
                Map<TopicPartition, Long> back = new HashMap<>();
                producer.beginTransaction();
                for (ConsumerRecord<String, String> r : batch) {
                    TopicPartition p = new TopicPartition(r.topic(), r.partition());
                    producer.send(new ProducerRecord<>(out, r.key(), "2x" + r.value()));
                    next.put(p, new OffsetAndMetadata(r.offset() + 1));
                    back.putIfAbsent(p, r.offset());
                }
                producer.sendOffsetsToTransaction(next, consumer.groupMetadata());
                if (round % 3 == 0) {
                    producer.flush();
                    producer.abortTransaction();
                    back.forEach((p, offset) -> consumer.seek(p, offset));
                    Map<TopicPartition, OffsetAndMetadata> kept = consumer.committed(back.keySet());
                    back.forEach((p, offset) -> Clients.equal(kept.get(p) == null ? 0L : kept.get(p).offset(), offset, "committed after an abort in " + p));
                    aborted++;
                    continue;
                }
                producer.commitTransaction();
                moved += batch.count();
            }
        }
        return aborted;
    }

    /** The first producer has a transaction open when the second begins: it is aborted, and the first may no longer write. */
    private static void fence(String broker, String id, String topic) throws Exception {
        int before = Clients.read(broker, topic, "read_committed").size();
        KafkaProducer<String, String> first = Clients.producer(broker, "transactional.id", id);
        first.initTransactions();
        first.beginTransaction();
        first.send(new ProducerRecord<>(topic, "lost", "lost")).get();
        try (KafkaProducer<String, String> second = Clients.producer(broker, "transactional.id", id)) {
            second.initTransactions();
            String refusal = Clients.thrown(() -> first.send(new ProducerRecord<>(topic, "late", "late")).get());
            Clients.check(refusal.equals("ProducerFencedException") || refusal.equals("InvalidProducerEpochException"), "the fenced producer's send: " + refusal);
            refusal = Clients.thrown(() -> {
                first.commitTransaction();
                return null;
            });
            Clients.check(refusal.equals("ProducerFencedException") || refusal.equals("InvalidProducerEpochException"), "the fenced producer's commit: " + refusal);
            second.beginTransaction();
            second.send(new ProducerRecord<>(topic, "kept", "kept"));
            second.commitTransaction();
        }
        first.close();
        Clients.equal(Clients.read(broker, topic, "read_committed").size(), before + 1, "committed records after the fence");
    }
}
