import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Set;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * Kafka Streams with exactly_once_v2: words are counted, and counted in windows; words are joined to a table of their languages and to a
 * stream of echoes. Instances come and go in the middle, one of them with an empty directory, so that its stores come from their changelogs.
 * Arguments: the broker, the group protocol (classic or streams), a directory for the stores.
 */
public final class Streams {
    private static final int PARTITIONS = 3;
    private static final int LINES = 300;
    private static final String[] WORDS = {"apple", "birne", "cerise", "dattel", "erdbeere", "fig", "grape"};
    private static final String[] LANGUAGES = {"en", "de", "fr", "de", "de", "en", "en"};

    public static void main(String[] args) throws Exception {
        String broker = args[0];
        String app = "words-" + args[1];
        Clients.topics(broker, PARTITIONS, app + "-lines", app + "-echoes", app + "-languages", app + "-counts", app + "-windows", app + "-joined", app + "-echoed");
        try (KafkaProducer<String, String> out = Clients.producer(broker)) {
            for (int i = 0; i < WORDS.length; i++) {
                // Older than all lines, or a line that is fetched at the same time would be joined first, and with nothing.
                out.send(new ProducerRecord<>(app + "-languages", null, 1_600_000_000_000L, WORDS[i], LANGUAGES[i]));
            }
        }
        Topology topology = topology(app);
        Map<String, Long> want = new HashMap<>();

        KafkaStreams one = start(topology, broker, app, args[1], Path.of(args[2], "one"));
        feed(broker, app, 0, want);
        settled(broker, app, want, 1);
        KafkaStreams two = start(topology, broker, app, args[1], Path.of(args[2], "two"));
        feed(broker, app, 1, want);
        settled(broker, app, want, 2);
        one.close(Duration.ofSeconds(20));
        feed(broker, app, 2, want);
        settled(broker, app, want, 3);
        two.close(Duration.ofSeconds(20));
        KafkaStreams three = start(topology, broker, app, args[1], Path.of(args[2], "three"));
        feed(broker, app, 3, want);
        settled(broker, app, want, 4);
        stored(three, want);
        three.close(Duration.ofSeconds(20));
        System.out.println("counted " + want + " in " + app);
    }

    private static Topology topology(String app) {
        StreamsBuilder b = new StreamsBuilder();
        KStream<String, String> words = b.<String, String>stream(app + "-lines")
                .flatMapValues(line -> Arrays.asList(line.split(" ")))
                .selectKey((key, word) -> word)
                .repartition();
        words.groupByKey().count(Materialized.as("counts")).toStream().mapValues(n -> n.toString()).to(app + "-counts");
        words.groupByKey().windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(1))).count(Materialized.as("windows")).toStream()
                .map((window, n) -> new org.apache.kafka.streams.KeyValue<>(window.key() + "@" + window.window().start(), n.toString()))
                .to(app + "-windows");
        KTable<String, String> languages = b.table(app + "-languages");
        words.join(languages, (word, language) -> word + " is " + language).to(app + "-joined");
        b.<String, String>stream(app + "-lines")
                .join(b.<String, String>stream(app + "-echoes"), (line, echo) -> line + "/" + echo, JoinWindows.ofTimeDifferenceWithNoGrace(Duration.ofHours(1)))
                .to(app + "-echoed");
        return b.build();
    }

    private static KafkaStreams start(Topology topology, String broker, String app, String protocol, Path dir) throws Exception {
        Properties p = Clients.settings(broker, "application.id", app, "group.protocol", protocol, "state.dir", dir.toString(), "client.id", app + "-" + dir.getFileName());
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        if (protocol.equals("classic")) {
            p.put(StreamsConfig.consumerPrefix("session.timeout.ms"), 6000);
            p.put(StreamsConfig.consumerPrefix("heartbeat.interval.ms"), 500);
        }
        KafkaStreams streams = new KafkaStreams(topology, p);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            System.exit(3);
            return null;
        });
        streams.start();
        Clients.await("streams to run", () -> streams.state() == KafkaStreams.State.RUNNING);
        return streams;
    }

    /** One round of lines, with times that are the same in every run, and an echo of each. */
    private static void feed(String broker, String app, int round, Map<String, Long> want) {
        try (KafkaProducer<String, String> out = Clients.producer(broker)) {
            for (int i = 0; i < LINES; i++) {
                int n = round * LINES + i;
                String first = WORDS[n % WORDS.length];
                String second = WORDS[n / 3 % WORDS.length];
                want.merge(first, 1L, Long::sum);
                want.merge(second, 1L, Long::sum);
                long at = 1_700_000_000_000L + round * 60_000L + i;
                out.send(new ProducerRecord<>(app + "-lines", null, at, "line" + n, first + " " + second));
                out.send(new ProducerRecord<>(app + "-echoes", null, at, "line" + n, "echo"));
            }
        }
    }

    /** Waits until every output has what the lines so far must give, and checks that nothing is there twice. */
    private static void settled(String broker, String app, Map<String, Long> want, int rounds) throws Exception {
        int lines = rounds * LINES;
        Clients.await("the output of " + lines + " lines", () -> size(broker, app + "-joined") >= 2 * lines && size(broker, app + "-echoed") >= lines && size(broker, app + "-counts") >= 2 * lines
                && size(broker, app + "-windows") >= 2 * lines);
        Clients.equal(size(broker, app + "-joined"), 2 * lines, "joined words");
        Clients.equal(size(broker, app + "-echoed"), lines, "echoed lines");
        Map<String, Long> counts = new HashMap<>();
        Set<String> steps = new HashSet<>();
        for (ConsumerRecord<String, String> r : Clients.read(broker, app + "-counts", "read_committed")) {
            Clients.check(steps.add(r.key() + r.value()), r.key() + " was counted " + r.value() + " twice");
            counts.merge(r.key(), Long.valueOf(r.value()), Math::max);
        }
        Clients.equal(counts, want, "counts after " + lines + " lines");
        Map<String, Long> windows = new HashMap<>();
        for (ConsumerRecord<String, String> r : Clients.read(broker, app + "-windows", "read_committed")) {
            windows.merge(r.key(), Long.valueOf(r.value()), Math::max);
        }
        Map<String, Long> sums = new HashMap<>();
        windows.forEach((key, n) -> sums.merge(key.substring(0, key.indexOf('@')), n, Long::sum));
        Clients.equal(sums, want, "sums of the windows after " + lines + " lines");
    }

    private static int size(String broker, String topic) {
        return Clients.read(broker, topic, "read_committed").size();
    }

    /** The stores of the one instance that is left, made anew from their changelogs, have all counts. */
    private static void stored(KafkaStreams streams, Map<String, Long> want) throws Exception {
        Map<String, Long> counts = new HashMap<>();
        Clients.await("the store to answer", () -> {
            try {
                var store = streams.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<String, Long>keyValueStore()));
                counts.clear();
                try (var all = store.all()) {
                    all.forEachRemaining(e -> counts.put(e.key, e.value));
                }
                return counts.equals(want);
            } catch (InvalidStateStoreException e) {
                return false;
            }
        });
    }
}
