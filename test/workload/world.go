package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/internal/seed"
)

// World is a broker or a cluster that is harmed now and then, and what its clients were told.
type World struct {
	T     testing.TB
	Addrs []string // of brokers; set before Run
	Seed  uint64
	Args  []string // of the servers
	// Replication of the topics.
	Replication int16
	// Dial connects the clients and has a time-out of its own; nil: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Session is the session time-out of the members of classic groups. A member that cannot reach a broker for longer is no owner any more
	// and does not know it, so it must be longer than any harm is. 0: 12 s.
	Session time.Duration
	// Patience is how long everybody may take to get on after harm; 0: two minutes.
	Patience time.Duration

	harm   atomic.Int64 // how often harm began or ended; what a client holds by a promise of the process, such as a lock, ends with each
	harmed atomic.Int64 // when it last did, in ns
}

// New is a world whose servers, which the caller starts with Args, are not there yet.
func New(t testing.TB, replication int16) *World {
	w := &World{T: t, Seed: seed.Of(t), Replication: replication, Session: 12 * time.Second, Patience: 2 * time.Minute}
	t.Logf("seed %d", w.Seed)
	w.Args = []string{"--http-addr", "", "--grpc-addr", "", "--log-level", "warn",
		"--set", "group.initial.rebalance.delay.ms=0", "--set", "group.min.session.timeout.ms=1000", "--set", "offsets.topic.num.partitions=8",
		"--set", "transaction.state.log.num.partitions=8", "--set", "share.coordinator.state.topic.num.partitions=8"}
	return w
}

// Harmed says that harm begins, or has ended.
func (w *World) Harmed() {
	w.harm.Add(1)
	w.harmed.Store(time.Now().UnixNano())
}

func (w *World) sinceHarm() time.Duration {
	return time.Since(time.Unix(0, w.harmed.Load())).Round(time.Millisecond)
}

// crowd are the clients.
type crowd struct {
	in     *feed
	etl    *pipelines
	owners []*owners
	queue  *queue
	wg     sync.WaitGroup
}

func (w *World) begin(ctx context.Context) *crowd {
	c := &crowd{in: newFeed("in", 4), etl: newPipelines(), queue: newQueue()}
	c.wg.Go(func() { c.in.produce(ctx, w) })
	for i := range 3 {
		c.wg.Go(func() { c.etl.run(ctx, w, i) })
	}
	for _, protocol := range []string{"classic", "consumer"} {
		o := newOwners(protocol)
		c.owners = append(c.owners, o)
		for i := range 3 {
			c.wg.Go(func() { o.run(ctx, w, i) })
		}
	}
	c.wg.Go(func() { c.queue.feed(ctx, w) })
	for i := range 3 {
		c.wg.Go(func() { c.queue.work(ctx, w, i) })
	}
	return c
}

// progress is what each kind of client has got done.
func (c *crowd) progress() map[string]int64 {
	return map[string]int64{
		"records acknowledged": c.in.acked.Load(), "transactions committed": c.etl.commits.Load(), "offsets committed, classic": c.owners[0].commits.Load(),
		"offsets committed, consumer": c.owners[1].commits.Load(), "queued records accepted": c.queue.accepted.Load(),
	}
}

// Run works while harm is done, so many times, and then checks every promise, once more after a restart. After each harm everybody must get on.
func (w *World) Run(rounds int, harm func(*rand.Rand), restart func()) {
	t, rng := w.T, rand.New(rand.NewPCG(w.Seed, 0))
	w.createTopics()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := w.begin(ctx)
	defer c.queue.report(t)
	for round := range rounds {
		time.Sleep(time.Duration(400+rng.IntN(1500)) * time.Millisecond) // load for a while; the length is part of what is tried
		harm(rng)
		before, began, last := c.progress(), time.Now(), "all"
		w.wait(func() string {
			now := c.progress()
			for kind, n := range before {
				if now[kind] <= n {
					last = kind
					return fmt.Sprintf("no progress after harm %d: %s stay at %d (all: %v)", round, kind, n, now)
				}
			}
			return ""
		})
		if t.Failed() {
			break
		}
		t.Logf("everybody gets on %v after harm %d; last: %s", time.Since(began).Round(time.Millisecond), round, last)
	}
	c.in.stop.Store(true)
	c.queue.stop.Store(true)
	w.wait(func() string {
		if n := w.lag("etl", "in"); n != 0 {
			return fmt.Sprintf("the pipelines have not read all input: %d are left", n)
		}
		if !c.queue.isDone() {
			return "the queue is not empty"
		}
		return ""
	})
	stop()
	c.wg.Wait()
	t.Logf("%v; %d transactions aborted", c.progress(), c.etl.aborts.Load())
	c.in.verify(w)
	if t.Failed() { // nothing was waited for, so what is not done yet is no loss
		return
	}
	c.etl.verify(w, c.in)
	c.queue.verify(t)
	restart()
	c.in.verify(w)
	c.etl.verify(w, c.in)
	for _, o := range c.owners {
		o.verify(w)
	}
}

// wait waits until undone says nothing; after Patience the test ends with what it says. A test that has failed waits for nothing.
func (w *World) wait(undone func() string) {
	w.T.Helper()
	for end := time.Now().Add(w.Patience); !w.T.Failed(); time.Sleep(5 * time.Millisecond) {
		why := undone()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			w.T.Fatalf("after %v: %s", w.Patience, why)
		}
	}
}

func (w *World) createTopics() {
	err := w.admin(func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
		for topic, n := range map[string]int32{"in": 4, "out": 4, "owned": 12, "jobs": 2} {
			if _, err := adm.CreateTopic(ctx, n, w.Replication, nil, topic); err != nil {
				return err
			}
		}
		return setGroup(ctx, cl, "workers", map[string]string{"share.auto.offset.reset": "earliest", "share.ordering": "key",
			"share.delivery.count.limit": "10", "share.record.lock.duration.ms": "15000"})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}
