package crash

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
)

// A broker of its own that has data becomes a cluster when others join it, while it serves; when its replicas have others it may go for good. Who comes
// back needs no flag but its data directory.
func TestOthersJoinABrokerThatHasData(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	t.Parallel()
	c := testbin.NewNodes(t, 3, "--http-addr", "", "--grpc-addr", "", "--log-level", "warn")
	defer c.Logs()
	c.Procs[0] = testbin.Start(t, append([]string{"--data-dir", c.Dirs[0], "--kafka-addr", c.Kafka[0], "--peer-addr", c.Peers[0]}, c.Args...)...)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka...), kgo.DefaultProduceTopic("orders"), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	put := func(n int) {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(n))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 100 {
		put(n)
	}
	for i := 1; i < 3; i++ {
		c.Procs[i] = testbin.Begin(t, append([]string{"--data-dir", c.Dirs[i], "--kafka-addr", c.Kafka[i], "--peer-addr", c.Peers[i], "--join", c.Peers[0]}, c.Args...)...)
	}
	for n := range 100 {
		put(100 + n)
	}
	for _, p := range c.Procs[1:] {
		p.Ready(t)
	}
	for i := range c.Procs {
		clusterOf(c, i) // all three are there
	}
	waitFor(t, "three brokers vote", func() bool { return len(strings.Fields(votes(c))) == 3 })

	move := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	move.TimeoutMillis = 10_000
	part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	part.Replicas = []int32{2, 3, 1}
	topic := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	topic.Topic, topic.Partitions = "orders", append(topic.Partitions, part)
	move.Topics = append(move.Topics, topic)
	if resp, err := ask[*kmsg.AlterPartitionAssignmentsResponse](c, move); err != nil || resp.ErrorCode != 0 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v %v", resp, err)
	}
	waitFor(t, "all replicas are in sync", func() bool {
		q := kmsg.NewPtrMetadataRequest()
		name := kmsg.NewMetadataRequestTopic()
		name.Topic = kmsg.StringPtr("orders")
		q.Topics = append(q.Topics, name)
		resp, err := ask[*kmsg.MetadataResponse](c, q)
		return err == nil && len(resp.Topics[0].Partitions) == 1 && len(resp.Topics[0].Partitions[0].ISR) == 3
	})
	c.Kill(0) // for good
	put(200)
	c.Stop(1)
	c.Procs[1] = testbin.Start(t, append([]string{"--data-dir", c.Dirs[1]}, c.Args...)...)

	reader, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka[1:]...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for next := 0; next <= 200; {
		fetches := reader.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("after %d of 201 records: %v", next, err)
		}
		for _, r := range fetches.Records() {
			if string(r.Value) != fmt.Sprint(next) {
				t.Fatalf("%s comes where %d should", r.Value, next)
			}
			next++
		}
	}
}
