package crash

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/testbin"
)

// BenchmarkFailover tells for how long a partition of three replicas takes no write with acks=all when its leader is killed, is frozen, or is
// stopped, and when the controller is killed. go test -run '^$' -bench Failover -benchtime 10x ./test/crash
func BenchmarkFailover(b *testing.B) {
	for _, how := range []string{"kill-leader", "kill-controller", "freeze-leader", "stop-leader"} {
		b.Run(how, func(b *testing.B) { failover(b, how) })
	}
}

func failover(b *testing.B, how string) {
	c := testbin.NewNodes(b, 3, "--http-addr", "", "--grpc-addr", "", "--log-level", "error")
	c.Start()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka...), kgo.DefaultProduceTopic("t"), kgo.ProducerLinger(0), kgo.MetadataMinAge(20*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }), kgo.ProduceRequestTimeout(time.Second), kgo.RequestTimeoutOverhead(500*time.Millisecond))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(b.Context(), 1, 3, map[string]*string{"min.insync.replicas": kadm.StringPtr("2")}, "t"); err != nil {
		b.Fatal(err)
	}
	var gap, last atomic.Int64 // the longest pause between two acknowledgements, and when the last one came, in ns
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	last.Store(time.Now().UnixNano())
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(n))).FirstErr(); err != nil {
				continue
			}
			now := time.Now().UnixNano()
			if d := now - last.Swap(now); d > gap.Load() {
				gap.Store(d)
			}
		}
	}()
	var pauses []time.Duration
	for b.Loop() {
		i := whole(b, adm, how == "kill-controller")
		gap.Store(0)
		switch how {
		case "freeze-leader":
			c.Freeze(i)
		case "stop-leader":
			c.Stop(i)
		default:
			c.Kill(i)
		}
		at := time.Now().UnixNano()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if last.Load() > at+int64(time.Second) {
				break
			}
		}
		pauses = append(pauses, time.Duration(gap.Load()))
		if how == "freeze-leader" {
			c.Thaw(i)
		}
		c.Start()
	}
	stop()
	<-done
	slices.Sort(pauses)
	b.ReportMetric(float64(pauses[len(pauses)/2].Milliseconds()), "ms-median")
	b.ReportMetric(float64(pauses[len(pauses)-1].Milliseconds()), "ms-worst")
	b.ReportMetric(0, "ns/op")
}

// whole waits until all replicas are in sync, and tells the broker that leads the partition, or that decides, counted from 0.
func whole(b *testing.B, adm *kadm.Client, controller bool) (at int) {
	b.Helper()
	waitFor(b, "all replicas are in sync", func() bool {
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		defer cancel()
		m, err := adm.Metadata(ctx, "t")
		if err != nil || len(m.Brokers) < 3 || len(m.Topics["t"].Partitions) == 0 || len(m.Topics["t"].Partitions[0].ISR) < 3 {
			return false
		}
		at = int(m.Topics["t"].Partitions[0].Leader) - 1
		if controller {
			at = int(m.Controller) - 1
		}
		return at >= 0
	})
	time.Sleep(2 * time.Second) // leaderships have come back
	return at
}
