package clients

import (
	"slices"
	"strings"
	"testing"
)

// group reads a topic to its end as a member of a group, in the group protocol of librdkafka's age, and returns what it read in order.
func group(t *testing.T, addr, group, topic string, more ...string) []string {
	t.Helper()
	args := append([]string{"-G", group, "-q", "-e", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=300"}, more...)
	lines := strings.Fields(kcat(t, addr, "", append(args, topic)...))
	slices.Sort(lines)
	return lines
}

// A group goes on where it was, member after member, and each record comes once.
func TestKcatGroupGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	need(t, "kcat")
	srv := serve(t, append([]string{"--set", "num.partitions=3"}, quickGroups...)...)
	for _, assignor := range []string{"range", "roundrobin", "cooperative-sticky"} {
		topic := "read-" + assignor
		x := []string{"-X", "partition.assignment.strategy=" + assignor}
		for round := range 3 {
			lines := numbered(strings.Repeat("r", round+1), 100)
			kcat(t, srv.Kafka, lines, "-P", "-t", topic)
			want := strings.Fields(lines)
			slices.Sort(want)
			if got := group(t, srv.Kafka, "readers", topic, x...); !slices.Equal(got, want) {
				t.Errorf("%s, round %d: %d records came instead of %d: %.200q", assignor, round, len(got), len(want), got)
			}
		}
		if got := group(t, srv.Kafka, "others-"+assignor, topic, x...); len(got) != 300 {
			t.Errorf("%s: another group gets %d records of 300", assignor, len(got))
		}
	}
}

// kcat commits one transaction for its whole input; what a reader of committed records sees is all of it, and once.
func TestKcatProducesInATransaction(t *testing.T) {
	t.Parallel()
	need(t, "kcat")
	srv := serve(t, quickGroups...)
	for round := range 3 {
		kcat(t, srv.Kafka, numbered(strings.Repeat("t", round+1), 200), "-P", "-t", "paid", "-p", "0", "-X", "transactional.id=payer")
	}
	got := kcat(t, srv.Kafka, "", "-C", "-t", "paid", "-p", "0", "-e", "-q", "-X", "isolation.level=read_committed")
	if want := numbered("t", 200) + numbered("tt", 200) + numbered("ttt", 200); got != want {
		t.Errorf("%d bytes came back of %d", len(got), len(want))
	}
	if got := group(t, srv.Kafka, "readers", "paid", "-X", "isolation.level=read_committed"); len(got) != 600 {
		t.Errorf("a group reads %d committed records of 600", len(got))
	}
}
