package crash

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
)

// ask asks any running broker of the cluster something.
func ask[R kmsg.Response](c *testbin.Nodes, q kmsg.Request) (answer R, err error) {
	c.T.Helper()
	var seeds []string
	for i, p := range c.Procs {
		if p != nil {
			seeds = append(seeds, c.Kafka[i])
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RequestRetries(2), kgo.DialTimeout(2*time.Second))
	if err != nil {
		c.T.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := cl.Request(ctx, q)
	if err != nil {
		return answer, err
	}
	return resp.(R), nil
}

// votes are the ids of the voters as soon as they are to be had.
func votes(c *testbin.Nodes) (ids string) {
	c.T.Helper()
	waitFor(c.T, "somebody tells who votes", func() bool {
		ids = votesNow(c)
		return ids != ""
	})
	return ids
}

// votesNow is votes without the waiting: "" while they are not to be had.
func votesNow(c *testbin.Nodes) string {
	q := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic, topic.Partitions = "__cluster_metadata", []kmsg.DescribeQuorumRequestTopicPartition{{}}
	q.Topics = append(q.Topics, topic)
	resp, err := ask[*kmsg.DescribeQuorumResponse](c, q)
	if err != nil || resp.ErrorCode != 0 || len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		return ""
	}
	var ids []string
	for _, v := range resp.Topics[0].Partitions[0].CurrentVoters {
		ids = append(ids, fmt.Sprint(v.ReplicaID))
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// makeTopic shows that the metadata can be changed.
func makeTopic(c *testbin.Nodes, name string) {
	c.T.Helper()
	waitFor(c.T, "topic "+name+" is created", func() bool {
		q := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 2
		q.Topics, q.TimeoutMillis = append(q.Topics, topic), 5000
		resp, err := ask[*kmsg.CreateTopicsResponse](c, q)
		return err == nil && (resp.Topics[0].ErrorCode == 0 || resp.Topics[0].ErrorCode == kerr.TopicAlreadyExists.Code)
	})
}

// SEA-1, SEA-3: of four brokers three vote. One voter is killed for good, the fourth gets its vote; so another one may die. Those that come back are
// brokers without a vote that take an empty seat, one comes back with an empty disk at its old address, and RemoveRaftVoter and AddRaftVoter
// move a vote by hand.
func TestDeadVotersAreReplaced(t *testing.T) {
	if os.Getenv("RAFKA_LONG") == "" {
		t.Skip("RAFKA_LONG=1 runs it: it takes half a minute")
	}
	c := testbin.NewNodes(t, 4, "--http-addr", "", "--grpc-addr", "", "--set", "rafka.quorum.replace.ms=2000")
	defer c.Logs()
	c.Start()
	voters := votes(c)
	if len(strings.Fields(voters)) != 3 {
		t.Fatalf("%s vote", voters)
	}
	is := func(i int) bool { return slices.Contains(strings.Fields(votes(c)), fmt.Sprint(i+1)) }
	spare := slices.IndexFunc([]int{0, 1, 2, 3}, func(i int) bool { return !is(i) })
	first, second, third := (spare+1)%4, (spare+2)%4, (spare+3)%4
	makeTopic(c, "before")

	c.Kill(first)
	waitFor(t, "the spare broker votes in place of the dead one", func() bool { return is(spare) && !is(first) })
	makeTopic(c, "one-replaced")
	c.Kill(second) // two of the three that once voted are dead
	makeTopic(c, "two-dead")
	if got := votes(c); len(strings.Fields(got)) != 3 {
		t.Fatalf("%s vote, with nobody to take the place of the dead", got)
	}

	c.Start() // both come back; nobody lacks a vote but one of them
	waitFor(t, "three living brokers vote", func() bool { return len(strings.Fields(votes(c))) == 3 })
	makeTopic(c, "all-back")

	// A lost disk, at the same address and under the same id.
	c.Kill(third)
	c.Dirs[third] = t.TempDir()
	c.Start()
	waitFor(t, "three brokers vote after a disk was lost", func() bool { return len(strings.Fields(votes(c))) == 3 })
	waitFor(t, "every replica is in sync again", func() bool { return inSync(c) })
	makeTopic(c, "disk-lost")

	out := slices.IndexFunc([]int{0, 1, 2, 3}, is)
	removed, err := ask[*kmsg.RemoveRaftVoterResponse](c, &kmsg.RemoveRaftVoterRequest{VoterID: int32(out + 1)})
	if err != nil || removed.ErrorCode != 0 {
		t.Fatal(removed, err)
	}
	waitFor(t, "another broker votes instead", func() bool { return !is(out) && len(strings.Fields(votes(c))) == 3 })
	next := slices.IndexFunc([]int{0, 1, 2, 3}, is)
	removed, err = ask[*kmsg.RemoveRaftVoterResponse](c, &kmsg.RemoveRaftVoterRequest{VoterID: int32(next + 1)})
	if err != nil || removed.ErrorCode != 0 {
		t.Fatal(removed, err)
	}
	waitFor(t, "two vote, and nobody who was refused a vote", func() bool { return !is(out) && !is(next) && len(strings.Fields(votes(c))) == 2 })
	waitFor(t, "it is given a vote again", func() bool {
		q := kmsg.NewPtrAddRaftVoterRequest()
		q.VoterID, q.TimeoutMillis = int32(out+1), 10_000
		resp, err := ask[*kmsg.AddRaftVoterResponse](c, q)
		return err == nil && (resp.ErrorCode == 0 || resp.ErrorCode == kerr.DuplicateVoter.Code)
	})
	if !is(out) {
		t.Fatalf("%s vote", votes(c))
	}
	makeTopic(c, "by-hand")
	for i := range c.Procs {
		c.Stop(i)
	}
	c.Start()
	makeTopic(c, "restarted")
}

// inSync reports whether every replica is in sync and every partition has a leader.
func inSync(c *testbin.Nodes) bool {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka...))
	if err != nil {
		c.T.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, err := kadm.NewClient(cl).Metadata(ctx)
	if err != nil || len(m.Brokers) != len(c.Procs) {
		return false
	}
	whole := true
	m.Topics.EachPartition(func(p kadm.PartitionDetail) {
		whole = whole && p.Leader >= 0 && len(p.ISR) == len(p.Replicas)
	})
	return whole
}

// The directory that an empty one has replaced is refused when it turns up after all, with a word that says why.
func TestReplacedDirectoryIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	t.Parallel()
	c := testbin.NewNodes(t, 3, "--http-addr", "", "--grpc-addr", "")
	defer c.Logs()
	c.Start()
	makeTopic(c, "t")
	lost := c.Dirs[2]
	c.Kill(2)
	c.Dirs[2] = t.TempDir()
	c.Start()
	waitFor(t, "every replica is in sync again", func() bool { return inSync(c) })
	c.Stop(2)
	c.Dirs[2] = lost
	c.Begin(2)
	<-c.Procs[2].Ended()
	if log := c.Procs[2].Log(); !strings.Contains(log, "has another data directory now") {
		t.Fatalf("it ended with\n%s", log)
	}
	if err := os.RemoveAll(lost); err != nil {
		t.Fatal(err)
	}
	c.Procs[2] = nil
}
