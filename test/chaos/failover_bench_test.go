package chaos

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/test/chaos/internal/wires"
	"github.com/rafka-io/rafka/test/workload"
)

// failures are what happens to the broker that leads a partition or decides.
var failures = []struct {
	name               string
	leader, controller bool // must it be that
	stock              bool // the client has the settings with which it comes
	do                 func(c *cluster, i int)
	undo               func(c *cluster, i int)
}{
	{name: "kill-leader", leader: true, do: (*cluster).kill},
	{name: "kill-controller", controller: true, do: (*cluster).kill},
	{name: "kill-both", leader: true, controller: true, do: (*cluster).kill},
	{name: "freeze-leader", leader: true, do: (*cluster).freeze, undo: (*cluster).thaw},
	{name: "freeze-controller", controller: true, do: (*cluster).freeze, undo: (*cluster).thaw},
	{name: "freeze-both", leader: true, controller: true, do: (*cluster).freeze, undo: (*cluster).thaw},
	{name: "cut-leader", leader: true, do: func(c *cluster, i int) {
		c.cut([]int{i}, append(c.others(i), c.clients()))
		c.cut(append(c.others(i), c.clients()), []int{i})
	}},
	{name: "cut-both", leader: true, controller: true, do: func(c *cluster, i int) {
		c.cut([]int{i}, append(c.others(i), c.clients()))
		c.cut(append(c.others(i), c.clients()), []int{i})
	}},
	{name: "cut-in-leader", leader: true, do: func(c *cluster, i int) { c.cut(append(c.others(i), c.clients()), []int{i}) }},
	{name: "cut-out-leader", leader: true, do: func(c *cluster, i int) { c.cut([]int{i}, append(c.others(i), c.clients())) }},
	{name: "cut-in-both", leader: true, controller: true, do: func(c *cluster, i int) { c.cut(append(c.others(i), c.clients()), []int{i}) }},
	{name: "cut-out-both", leader: true, controller: true, do: func(c *cluster, i int) { c.cut([]int{i}, append(c.others(i), c.clients())) }},
	{name: "cut-brokers-leader", leader: true, do: func(c *cluster, i int) {
		c.cut([]int{i}, c.others(i))
		c.cut(c.others(i), []int{i})
	}},
	{name: "cut-follower", leader: true, do: func(c *cluster, i int) { c.net.Both(i, c.follower(i), wires.Rule{Cut: true}) }},
	{name: "stop-leader", leader: true, stock: true, do: (*cluster).stop},
	{name: "roll", stock: true, do: func(c *cluster, _ int) { c.roll() }},
}

func (c *cluster) kill(i int)   { c.Kill(i) }
func (c *cluster) stop(i int)   { c.Stop(i) }
func (c *cluster) freeze(i int) { c.Freeze(i) }
func (c *cluster) thaw(i int)   { c.Thaw(i) }

// settled is how long a roll waits after a broker is back, as orchestrators do (minReadySeconds).
const settled = 2 * time.Second

// roll stops and starts each broker in turn, as an upgrade does: the next one when the cluster has been whole for a moment and
// leaderships have gone home.
func (c *cluster) roll() {
	cl := c.client()
	defer cl.Close()
	for i := range c.Procs {
		c.Stop(i)
		c.Start()
		c.home(cl)
		time.Sleep(settled)
	}
}

// BenchmarkFailover tells for how long a partition of three replicas takes no write with acks=all: the longest pause of each time, of which it
// gives the median and the worst. In namespaces and on loopback, where nothing can be cut:
//
//	go test -run '^$' -bench Failover -benchtime 20x -timeout 60m ./test/chaos
func BenchmarkFailover(b *testing.B) {
	for _, f := range failures {
		b.Run(f.name, func(b *testing.B) {
			c := newCluster(b, 3, 1, "--http-addr", "", "--grpc-addr", "", "--log-level", "warn", "--set", "min.insync.replicas=2")
			defer c.Logs()
			c.Start()
			cl := c.client()
			defer cl.Close()
			partitions := 1
			if !f.leader {
				partitions = 12
			}
			if _, err := kadm.NewClient(cl).CreateTopic(b.Context(), int32(partitions), 3, nil, "t"); err != nil {
				b.Fatal(err)
			}
			opts := []kgo.Opt{kgo.SeedBrokers(c.Kafka...), kgo.Dialer(c.net.Dial(c.clients(), 10*time.Second))}
			if !f.stock { // one that finds out soon
				opts = append(opts, kgo.Dialer(c.net.Dial(c.clients(), 200*time.Millisecond)), kgo.MetadataMinAge(20*time.Millisecond), kgo.ProduceRequestTimeout(200*time.Millisecond),
					kgo.RequestTimeoutOverhead(100*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }))
			}
			w, err := workload.Write("t", partitions, opts...)
			if err != nil {
				b.Fatal(err)
			}
			var pauses []time.Duration
			for b.Loop() {
				i := c.chosen(cl, f.leader, f.controller)
				w.Begin()
				f.do(c, i)
				at := time.Now().Add(500 * time.Millisecond)
				for end := time.Now().Add(45 * time.Second); !w.Since(at) && time.Now().Before(end); {
					time.Sleep(5 * time.Millisecond)
				}
				pauses = append(pauses, w.Longest())
				if !w.Since(at) {
					for other := range c.Procs {
						b.Errorf("no write for %v after %s of broker %d: %s", w.Longest(), f.name, i+1, c.broken(cl, other))
					}
				}
				c.net.Heal()
				if f.undo != nil {
					f.undo(c, i)
				}
				c.Start()
			}
			errs, wrong := w.Stop()
			for _, e := range wrong {
				b.Error(e)
			}
			for _, e := range errs[:min(len(errs), 5)] {
				b.Logf("the client gave up: %s", e)
			}
			b.Logf("%v", pauses)
			slices.Sort(pauses)
			b.ReportMetric(float64(pauses[len(pauses)/2].Milliseconds()), "ms-median")
			b.ReportMetric(float64(pauses[len(pauses)-1].Milliseconds()), "ms-worst")
			b.ReportMetric(float64(len(errs)), "errors")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// chosen waits until the cluster is whole and returns the broker that leads the partition, or decides; where it must be both, it moves the
// leadership to the controller.
func (c *cluster) chosen(cl *kgo.Client, leader, controller bool) (i int) {
	c.T.Helper()
	for end := time.Now().Add(wholeAgain); ; time.Sleep(100 * time.Millisecond) {
		c.home(cl)
		time.Sleep(time.Second) // clients have found the leaders, new leases run
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		m, err := kadm.NewClient(cl).Metadata(ctx, "t")
		if err == nil && m.Controller > 0 {
			leads, decides := m.Topics["t"].Partitions[0].Leader, m.Controller
			switch {
			case !leader:
				cancel()
				return int(decides) - 1
			case !controller && leads != decides, controller && leads == decides:
				cancel()
				return int(leads) - 1
			}
			c.lead(ctx, cl, decides, controller)
		}
		cancel()
		if time.Now().After(end) {
			c.T.Fatalf("no broker is as wanted: leader %v, controller %v (%v)", leader, controller, err)
		}
	}
}

// home waits until the cluster is whole and each partition is led by the first of its replicas, as some broker sees it.
func (c *cluster) home(cl *kgo.Client) {
	c.T.Helper()
	for end := time.Now().Add(wholeAgain); ; time.Sleep(50 * time.Millisecond) {
		c.whole(cl, wholeAgain)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		m, err := kadm.NewClient(cl).Metadata(ctx, "t")
		cancel()
		away := 0
		for _, p := range m.Topics["t"].Partitions {
			if p.Leader != p.Replicas[0] {
				away++
			}
		}
		if err == nil && away == 0 {
			return
		}
		if time.Now().After(end) {
			c.T.Fatalf("%d partitions are not led by the first of their replicas (%v)", away, err)
		}
	}
}

// follower is a broker that neither is i nor decides.
func (c *cluster) follower(i int) int {
	cl := c.client()
	defer cl.Close()
	decides := c.controller(cl)
	for _, j := range c.others(i) {
		if j != decides {
			return j
		}
	}
	return i
}

// lead makes a broker the leader of the partition, or another one than that.
func (c *cluster) lead(ctx context.Context, cl *kgo.Client, id int32, it bool) {
	replicas := []int32{id}
	for i := range c.Procs {
		if other := int32(i + 1); other != id {
			replicas = append(replicas, other)
		}
	}
	if !it {
		slices.Reverse(replicas)
	}
	adm := kadm.NewClient(cl)
	var q kadm.AlterPartitionAssignmentsReq
	q.Assign("t", 0, replicas)
	if _, err := adm.AlterPartitionAssignments(ctx, q); err != nil {
		c.T.Logf("move the leader: %v", err)
	}
	set := kadm.TopicsSet{}
	set.Add("t", 0)
	_, _ = adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
}
