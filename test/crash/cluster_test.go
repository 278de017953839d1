package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/testbin"
	"github.com/rafka-io/rafka/test/workload"
)

// The same line on every broker, in any order, several times over, forms one cluster; who comes back needs no flag but its data directory.
func TestBrokersFormOneClusterInAnyOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	t.Parallel()
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	c := testbin.NewNodes(t, 3, "--http-addr", "", "--grpc-addr", "", "--log-level", "warn")
	defer c.Logs()
	order := rng.Perm(3)
	t.Logf("order %v", order)
	c.Begin(order[0])
	c.Begin(order[1])
	time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
	c.Kill(order[0]) // while it waits for the others, or later
	c.Start()
	first := clusterOf(c, 0)
	for i := range c.Procs {
		if got := clusterOf(c, i); got != first {
			t.Fatalf("broker %d is of %s, broker 1 of %s", i+1, got, first)
		}
	}
	for i := range c.Procs {
		c.Stop(i)
	}
	c.Start()
	if got := clusterOf(c, order[2]); got != first {
		t.Fatalf("%s before the restart, %s after it", first, got)
	}
}

// clusterOf is the cluster's id and its brokers as broker i tells them.
func clusterOf(c *testbin.Nodes, i int) (told string) {
	c.T.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka[i]))
	if err != nil {
		c.T.Fatal(err)
	}
	defer cl.Close()
	waitFor(c.T, "all brokers are there", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		ask := kmsg.NewPtrMetadataRequest() // kadm remembers an answer for minutes, and the first may come before the last broker
		ask.Topics = []kmsg.MetadataRequestTopic{}
		m, err := ask.RequestWith(ctx, cl)
		if err != nil || len(m.Brokers) != len(c.Procs) {
			return false
		}
		var ids []int32
		for _, b := range m.Brokers {
			ids = append(ids, b.NodeID)
		}
		slices.Sort(ids)
		told = fmt.Sprint(*m.ClusterID, ids)
		return true
	})
	return told
}

// TestClusterKeepsEveryPromise is TestKillKeepsEveryPromise on three brokers, of which one at a time is killed, frozen or stopped.
func TestClusterKeepsEveryPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rounds := 1
	if n, err := strconv.Atoi(os.Getenv("RAFKA_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	w := workload.New(t, 3)
	c := testbin.NewNodes(t, 3, append(w.Args, "--set", "min.insync.replicas=2")...)
	defer c.Logs()
	c.Start()
	w.Addrs = c.Kafka
	w.Run(rounds, func(rng *rand.Rand) {
		i := rng.IntN(3)
		w.Harmed()
		switch harm := rng.IntN(4); harm {
		case 0:
			t.Logf("freeze broker %d", i+1)
			c.Freeze(i)
			time.Sleep(time.Duration(500+rng.IntN(4000)) * time.Millisecond)
			c.Thaw(i)
		case 1:
			t.Logf("stop broker %d", i+1)
			c.Stop(i)
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		default:
			t.Logf("kill broker %d", i+1)
			c.Kill(i)
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		}
		w.Harmed()
		c.Start()
	}, func() {
		for i := range c.Procs {
			c.Stop(i)
		}
		c.Start()
	})
}
