import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;

/**
 * A group whose members come and go while it reads: arguments are the broker, the group protocol and, for the classic one, an assignor.
 * Every record is read at least once and, once the group has settled, each partition is read by one member; what is committed is where
 * the next one goes on.
 */
public final class Group {
    private static final int PARTITIONS = 6;
    private static final int RECORDS = 300;

    private final String broker;
    private final String[] protocol;
    private final String name;
    private final Map<String, Integer> reads = new ConcurrentHashMap<>();

    private Group(String broker, String protocol, String assignor) {
        this.broker = broker;
        this.protocol = assignor.isEmpty()
                ? new String[] {"group.protocol", protocol}
                : new String[] {"group.protocol", protocol, "session.timeout.ms", "60000", "heartbeat.interval.ms", "300",
                    "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor};
        this.name = "group-" + protocol + assignor.toLowerCase();
    }

    public static void main(String[] args) throws Exception {
        Group g = new Group(args[0], args[1], args.length > 2 ? args[2] : "");
        Clients.topics(g.broker, PARTITIONS, g.name, g.name + "-other");
        Clients.fill(g.broker, g.name, PARTITIONS, 0, RECORDS);
        g.membersComeAndGo();
        g.staticMemberKeepsItsPartitions();
        g.patternFindsTopics(args[1]);
        g.adminEndsIt();
        System.out.println("the group " + g.name + " did what it should");
    }

    /** A member, polled by a thread of its own until it is told to stop. */
    private final class Member implements AutoCloseable {
        final KafkaConsumer<String, String> consumer;
        final Set<TopicPartition> owned = ConcurrentHashMap.newKeySet();
        final Thread thread;
        volatile boolean stop;
        volatile Throwable failed;

        Member(String... pairs) {
            List<String> all = new ArrayList<>(List.of("group.id", name));
            all.addAll(List.of(protocol));
            all.addAll(List.of(pairs));
            consumer = Clients.consumer(broker, all.toArray(new String[0]));
            consumer.subscribe(List.of(name), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    owned.addAll(partitions);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    consumer.commitSync();
                    owned.removeAll(partitions);
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    owned.removeAll(partitions);
                }
            });
            thread = new Thread(this::poll);
            thread.start();
        }

        private void poll() {
            try (consumer) {
                while (!stop) {
                    for (ConsumerRecord<String, String> r : consumer.poll(Clients.POLL)) {
                        reads.merge(r.value(), 1, Integer::sum);
                    }
                    try {
                        consumer.commitSync();
                    } catch (CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException e) {
                        // What was read since belongs to somebody else now; it is read again.
                    }
                }
            } catch (Throwable t) {
                failed = t;
            }
        }

        @Override
        public void close() throws Exception {
            stop = true;
            thread.join();
            if (failed != null) {
                throw new AssertionError("a member ended", failed);
            }
        }
    }

    private static void share(int each, Member... members) throws Exception {
        Clients.await(members.length + " members have " + each + " partitions each", () -> {
            Set<TopicPartition> all = new HashSet<>();
            for (Member m : members) {
                if (m.failed != null) {
                    throw new AssertionError("a member ended", m.failed);
                }
                if (m.owned.size() != each) {
                    return false;
                }
                all.addAll(m.owned);
            }
            return all.size() == each * members.length;
        });
    }

    private void membersComeAndGo() throws Exception {
        Member a = new Member();
        share(6, a);
        Clients.await("the first records", () -> reads.size() == RECORDS);
        Member b = new Member();
        share(3, a, b);
        Member c = new Member();
        share(2, a, b, c);
        reads.clear();
        Clients.fill(broker, name, PARTITIONS, RECORDS, RECORDS);
        Clients.await("the second records", () -> reads.size() == RECORDS);
        Clients.check(reads.values().stream().allMatch(n -> n == 1), "a settled group reads records twice");
        b.close();
        share(3, a, c);
        a.close();
        share(6, c);
        c.close();
        try (Admin admin = Clients.admin(broker); KafkaConsumer<String, String> alone = Clients.consumer(broker, "group.id", name)) {
            Map<TopicPartition, OffsetAndMetadata> committed = alone.committed(new HashSet<>(Clients.partitions(name, PARTITIONS)));
            Clients.ends(admin, committed.keySet()).forEach((p, end) -> Clients.equal(committed.get(p).offset(), end, "committed in " + p));
        }
    }

    /** A static member that leaves and comes back within its session has the partitions it had, and the other one sees nothing of it. */
    private void staticMemberKeepsItsPartitions() throws Exception {
        Member other = new Member("group.instance.id", "other");
        Member first = new Member("group.instance.id", "one");
        share(3, other, first);
        Set<TopicPartition> had = new HashSet<>(first.owned);
        first.close();
        Member second = new Member("group.instance.id", "one");
        Clients.await("the static member is back", () -> second.owned.equals(had));
        Clients.equal(other.owned.size(), 3, "partitions of the other member");
        Clients.equal(Clients.thrown(() -> {
            try (KafkaConsumer<String, String> twin = Clients.consumer(broker, join(protocol, "group.id", name, "group.instance.id", "other"))) {
                twin.subscribe(List.of(name));
                for (int i = 0; i < 50 && other.failed == null; i++) {
                    twin.poll(Clients.POLL);
                }
                return null;
            }
        }), protocol[1].equals("consumer") ? "UnreleasedInstanceIdException" : "nothing", "a second member of the name of one that lives");
        if (protocol[1].equals("classic")) {
            Clients.equal(other.failed == null ? "nothing" : other.failed.getClass().getSimpleName(), "FencedInstanceIdException", "the member whose name was taken");
            other.failed = null;
        }
        other.close();
        second.close();
    }

    private static String[] join(String[] a, String... b) {
        List<String> all = new ArrayList<>(List.of(a));
        all.addAll(List.of(b));
        return all.toArray(new String[0]);
    }

    /** A subscription by pattern finds a topic that is made later; the consumer protocol has the broker match it. */
    private void patternFindsTopics(String kind) throws Exception {
        try (KafkaConsumer<String, String> in = Clients.consumer(broker, join(protocol, "group.id", name + "-pattern", "metadata.max.age.ms", "500"))) {
            if (kind.equals("consumer")) {
                in.subscribe(new SubscriptionPattern(name + "-o.*"));
            } else {
                in.subscribe(Pattern.compile(name + "-o.*"));
            }
            Clients.await("the pattern's topic", () -> in.poll(Clients.POLL) != null && in.assignment().size() == PARTITIONS);
            Clients.topics(broker, 1, name + "-order");
            Clients.await("the pattern's new topic", () -> in.poll(Clients.POLL) != null && in.assignment().size() == PARTITIONS + 1);
            in.seekToBeginning(in.assignment());
            in.commitSync(Map.of(new TopicPartition(name + "-order", 0), new OffsetAndMetadata(0, "a note")));
            Clients.equal(in.committed(Set.of(new TopicPartition(name + "-order", 0))).get(new TopicPartition(name + "-order", 0)).metadata(), "a note", "the note of a commit");
        }
    }

    private void adminEndsIt() throws Exception {
        try (Admin admin = Clients.admin(broker)) {
            admin.removeMembersFromConsumerGroup(name, new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("one"), new MemberToRemove("other")))).all().get();
            Clients.await("the group to be empty", () -> {
                ConsumerGroupDescription d = admin.describeConsumerGroups(List.of(name)).all().get().get(name);
                return d.groupState() == GroupState.EMPTY;
            });
            Clients.check(admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(name)), "the group is not listed");
            admin.deleteConsumerGroups(List.of(name)).all().get();
            Clients.equal(Clients.thrown(() -> admin.describeConsumerGroups(List.of(name)).all().get()), "GroupIdNotFoundException", "a deleted group's description");
        }
    }
}
