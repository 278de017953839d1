package crash

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
)

// raise asks the cluster to finalize a level of rafka.version.
func raise(c *testbin.Nodes, level int16) error {
	q := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = "rafka.version", level, 1
	q.FeatureUpdates, q.TimeoutMillis = append(q.FeatureUpdates, u), 5000
	resp, err := ask[*kmsg.UpdateFeaturesResponse](c, q)
	if err != nil || resp.ErrorCode == 0 {
		return err
	}
	message := ""
	if resp.ErrorMessage != nil {
		message = *resp.ErrorMessage
	}
	return fmt.Errorf("%w: %s", kerr.ErrorForCode(resp.ErrorCode), message)
}

// Two releases work together: brokers are restarted one after the other with the newer binary while records are written with acks=all, and
// until the level is raised one can go back. The level is refused while a broker of the earlier release runs; once it is raised, that
// release is refused, and all that was acknowledged is there.
func TestRollingUpgradeAndTheWayBack(t *testing.T) {
	if os.Getenv("RAFKA_LONG") == "" {
		t.Skip("RAFKA_LONG=1 runs it: it takes half a minute")
	}
	earlier := testbin.Earlier(t, 1)
	c := testbin.NewNodes(t, 3, "--http-addr", "", "--grpc-addr", "", "--set", "min.insync.replicas=2", "--set", "default.replication.factor=3", "--set", "num.partitions=3")
	defer c.Logs()
	c.Bins = []string{earlier, earlier, earlier}
	c.Start()
	acked, stop := writing(c)
	restart := func(i int, bin string) {
		t.Helper()
		c.Stop(i)
		c.Bins[i] = bin
		c.Start()
		waitFor(t, fmt.Sprintf("broker %d is in sync again", i+1), func() bool { return inSync(c) })
	}
	restart(0, "")
	makeTopic(c, "mixed")
	if err := raise(c, 2); err == nil {
		t.Fatal("the level was raised while brokers of the earlier release run")
	}
	restart(1, "")
	restart(0, earlier) // back
	restart(0, "")
	restart(2, "")
	makeTopic(c, "newer")
	waitFor(t, "the level is raised", func() bool { return raise(c, 2) == nil })
	makeTopic(c, "raised")
	for i := range c.Procs { // their registrations are of the new form from here on
		restart(i, "")
	}
	c.Stop(1)
	c.Bins[1] = earlier
	c.Begin(1)
	<-c.Procs[1].Ended()
	if log := c.Procs[1].Log(); !strings.Contains(log, "knows up to 1") && !strings.Contains(log, "start a newer release there") && !strings.Contains(log, "known are those up to") {
		t.Fatalf("the earlier release ended with\n%s", log)
	}
	c.Procs[1], c.Bins[1] = nil, ""
	c.Start()
	waitFor(t, "every replica is in sync again", func() bool { return inSync(c) })
	stop()
	found := read(c)
	for value := range acked {
		if !found[value] {
			t.Fatalf("%s was acknowledged and is gone; %d of %d are there", value, len(found), len(acked))
		}
	}
	if len(acked) == 0 {
		t.Fatal("nothing was written")
	}
	t.Logf("%d records acknowledged, all there", len(acked))
}

// writing writes records to the topic "upgraded" until stop, after which acked has those that were acknowledged.
func writing(c *testbin.Nodes) (acked map[string]bool, stop func()) {
	c.T.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka...), kgo.DefaultProduceTopic("upgraded"), kgo.AllowAutoTopicCreation(), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordRetries(1<<30), kgo.UnknownTopicRetries(-1), kgo.ProducerLinger(0), kgo.ProduceRequestTimeout(5*time.Second))
	if err != nil {
		c.T.Fatal(err)
	}
	acked = map[string]bool{}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			value := fmt.Sprintf("%09d", n)
			cl.Produce(context.Background(), &kgo.Record{Value: []byte(value)}, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					c.T.Errorf("produce: %v", err)
					return
				}
				acked[value] = true
			})
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return acked, func() {
		cancel()
		wg.Wait()
		if err := cl.Flush(context.Background()); err != nil {
			c.T.Error(err)
		}
		cl.Close()
	}
}

// read reads all of the topic "upgraded".
func read(c *testbin.Nodes) map[string]bool {
	c.T.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka...), kgo.ConsumeTopics("upgraded"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.T.Fatal(err)
	}
	defer cl.Close()
	found := map[string]bool{}
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		fetches := cl.PollFetches(ctx)
		cancel()
		if fetches.NumRecords() == 0 {
			return found
		}
		fetches.EachRecord(func(r *kgo.Record) { found[string(r.Value)] = true })
	}
}
