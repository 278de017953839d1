package clients

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What Java programs must not wait for: groups form within a second, members say that they live often, locks of queues end soon.
var quickGroups = []string{
	"--set", "group.initial.rebalance.delay.ms=500",
	"--set", "group.consumer.min.heartbeat.interval.ms=300", "--set", "group.consumer.heartbeat.interval.ms=300",
	"--set", "group.share.min.heartbeat.interval.ms=300", "--set", "group.share.heartbeat.interval.ms=300",
	"--set", "group.streams.min.heartbeat.interval.ms=300", "--set", "group.streams.heartbeat.interval.ms=300",
	"--set", "group.streams.initial.rebalance.delay.ms=500",
	"--set", "group.share.min.record.lock.duration.ms=1000",
	"--set", "offsets.topic.num.partitions=4", "--set", "transaction.state.log.num.partitions=4", "--set", "share.coordinator.state.topic.num.partitions=4",
}

// javaPrograms compiles the programs of testdata/java, as far as the class path has what they need, and returns the class path to run them with.
func javaPrograms(t *testing.T) (classpath string, streams bool) {
	t.Helper()
	jars := kafkaTools(t)
	need(t, "javac")
	classes := t.TempDir()
	compile := func(names ...string) (string, bool) {
		args := []string{"-J-XX:TieredStopAtLevel=1", "-nowarn", "-cp", jars + string(filepath.ListSeparator) + classes, "-d", classes}
		for _, name := range names {
			args = append(args, filepath.Join("testdata", "java", name+".java"))
		}
		return run(t, 5*time.Minute, "", "javac", args...)
	}
	if out, ok := compile("Clients", "Pipe", "Group", "Share"); !ok {
		if strings.Contains(out, "KafkaShareConsumer") {
			t.Skipf("these jars of Kafka are too old; 4.2 or newer is needed:\n%s", tail(out))
		}
		t.Fatalf("javac:\n%s", tail(out))
	}
	out, streams := compile("Streams")
	if !streams && !strings.Contains(out, "org.apache.kafka.streams does not exist") {
		t.Fatalf("javac:\n%s", tail(out))
	}
	return classes + string(filepath.ListSeparator) + jars, streams
}

// Programs of the Java clients check what they see themselves: transactions that consume and produce, groups of both protocols whose members
// come and go, queues, and Kafka Streams with exactly_once_v2. Each has a broker of its own.
func TestJavaPrograms(t *testing.T) {
	t.Parallel()
	classpath, streams := javaPrograms(t)
	for _, p := range []struct {
		name  string
		args  []string
		skips bool
	}{
		{name: "Pipe classic"},
		{name: "Pipe consumer"},
		{name: "Group classic CooperativeStickyAssignor"},
		{name: "Group classic RangeAssignor"},
		{name: "Group consumer"},
		{name: "Share"},
		{name: "Streams classic", args: []string{t.TempDir()}, skips: !streams},
		{name: "Streams streams", args: []string{t.TempDir()}, skips: !streams},
	} {
		t.Run(p.name, func(t *testing.T) {
			if p.skips {
				t.Skip("kafka-streams is not on the class path")
			}
			t.Parallel()
			srv := serve(t, quickGroups...)
			words := strings.Fields(p.name)
			args := append([]string{"-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath, words[0], srv.Kafka}, words[1:]...)
			out, ok := run(t, 4*time.Minute, "", "java", append(args, p.args...)...)
			if !ok {
				t.Fatalf("%s failed:\n%s\nthe broker:\n%s", p.name, tail(out), tail(srv.Log()))
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			t.Log(lines[len(lines)-1])
		})
	}
}
