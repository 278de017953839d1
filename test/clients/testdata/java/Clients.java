import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What the programs beside this one share: settings for one broker, and checks that end the program. */
final class Clients {
    static final Duration POLL = Duration.ofMillis(200);

    static {
        // Threads of a client that is still open would keep a program alive after its check has failed.
        Thread.setDefaultUncaughtExceptionHandler((thread, failure) -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
        });
    }

    private Clients() {}

    static Properties settings(String broker, String... pairs) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        for (int i = 0; i < pairs.length; i += 2) {
            p.put(pairs[i], pairs[i + 1]);
        }
        return p;
    }

    static Admin admin(String broker) {
        return Admin.create(settings(broker));
    }

    static KafkaProducer<String, String> producer(String broker, String... pairs) {
        return new KafkaProducer<>(settings(broker, pairs), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String broker, String... pairs) {
        Properties p = settings(broker, "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        p.putAll(settings(broker, pairs));
        return new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer());
    }

    static void topics(String broker, int partitions, String... names) throws Exception {
        try (Admin admin = admin(broker)) {
            Collection<NewTopic> topics = new ArrayList<>();
            for (String name : names) {
                topics.add(new NewTopic(name, partitions, (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    /** Records n of them, "k0" with "0" and so on, spread over the partitions. */
    static void fill(String broker, String topic, int partitions, int from, int n) {
        try (KafkaProducer<String, String> out = producer(broker)) {
            for (int i = from; i < from + n; i++) {
                out.send(new ProducerRecord<>(topic, i % partitions, "k" + i, "" + i));
            }
            out.flush();
        }
    }

    /** All records of a topic as a consumer without a group sees them now. */
    static List<ConsumerRecord<String, String>> read(String broker, String topic, String isolation) {
        List<ConsumerRecord<String, String>> all = new ArrayList<>();
        try (KafkaConsumer<String, String> in = consumer(broker, "isolation.level", isolation)) {
            List<TopicPartition> partitions = in.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).collect(Collectors.toList());
            in.assign(partitions);
            in.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = in.endOffsets(partitions);
            long until = System.nanoTime() + Duration.ofSeconds(120).toNanos();
            while (partitions.stream().anyMatch(p -> in.position(p) < ends.get(p))) {
                check(System.nanoTime() < until, "read " + all.size() + " records of " + topic + ", not to its end " + ends);
                in.poll(POLL).forEach(all::add);
            }
        }
        return all;
    }

    static Map<TopicPartition, Long> ends(Admin admin, Collection<TopicPartition> partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> ask = partitions.stream().collect(Collectors.toMap(p -> p, p -> OffsetSpec.latest()));
        Map<TopicPartition, Long> ends = new HashMap<>();
        admin.listOffsets(ask).all().get().forEach((p, end) -> ends.put(p, end.offset()));
        return ends;
    }

    static List<TopicPartition> partitions(String topic, int n) {
        return IntStream.range(0, n).mapToObj(p -> new TopicPartition(topic, p)).collect(Collectors.toList());
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object got, Object want, String what) {
        check(want.equals(got), what + ": got " + got + ", want " + want);
    }

    /** Waits until something holds, for at most two minutes. */
    static void await(String what, Callable<Boolean> holds) throws Exception {
        long until = System.nanoTime() + Duration.ofSeconds(120).toNanos();
        while (!holds.call()) {
            check(System.nanoTime() < until, "waited for: " + what);
            Thread.sleep(50);
        }
    }

    /** The class of the innermost cause of what a call throws; "nothing" if it does not. */
    static String thrown(Callable<?> call) {
        try {
            call.call();
            return "nothing";
        } catch (Throwable t) {
            while (t.getCause() != null && (t instanceof java.util.concurrent.ExecutionException || t.getClass() == org.apache.kafka.common.KafkaException.class)) {
                t = t.getCause();
            }
            return t.getClass().getSimpleName();
        }
    }
}
