package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The same line on every broker, in any order, several times over, forms one cluster; who comes back needs no flag but its data directory.
func TestBrokersFormOneClusterInAnyOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	c := newNodes(t, 3, "--http-addr", "", "--grpc-addr", "", "--log-level", "warn")
	defer c.logs()
	order := rng.Perm(3)
	t.Logf("order %v", order)
	c.begin(order[0])
	c.begin(order[1])
	time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
	c.kill(order[0]) // while it waits for the others, or later
	c.start()
	first := c.clusterOf(0)
	for i := range c.procs {
		if got := c.clusterOf(i); got != first {
			t.Fatalf("broker %d is of %s, broker 1 of %s", i+1, got, first)
		}
	}
	for i := range c.procs {
		c.stop(i)
	}
	c.start()
	if got := c.clusterOf(order[2]); got != first {
		t.Fatalf("%s before the restart, %s after it", first, got)
	}
}

// clusterOf is the cluster's id and its brokers as broker i tells them.
func (c *nodes) clusterOf(i int) (told string) {
	c.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.kafka[i]))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	waitFor(c.t, "all brokers are there", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		m, err := kadm.NewClient(cl).BrokerMetadata(ctx)
		if err != nil || len(m.Brokers) != len(c.procs) {
			return false
		}
		told = fmt.Sprint(m.Cluster, m.Brokers.NodeIDs())
		return true
	})
	return told
}

// TestClusterKeepsEveryPromise is TestKillKeepsEveryPromise on three brokers, of which one at a time is killed, frozen or stopped.
func TestClusterKeepsEveryPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("RAFKA_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	w := newWorld(t, 3)
	c := newNodes(t, 3, append(w.args, "--set", "min.insync.replicas=2")...)
	defer c.logs()
	c.start()
	w.addrs = c.kafka
	w.run(rounds, func(rng *rand.Rand) {
		i := rng.IntN(3)
		w.kills.Add(1)
		switch harm := rng.IntN(4); harm {
		case 0:
			t.Logf("freeze broker %d", i+1)
			c.freeze(i)
			time.Sleep(time.Duration(500+rng.IntN(4000)) * time.Millisecond)
			c.thaw(i)
		case 1:
			t.Logf("stop broker %d", i+1)
			c.stop(i)
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		default:
			t.Logf("kill broker %d", i+1)
			c.kill(i)
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		}
		w.kills.Add(1)
		c.start()
	}, func() {
		for i := range c.procs {
			c.stop(i)
		}
		c.start()
	})
}
