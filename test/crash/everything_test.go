package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
)

// world is a broker that is killed now and then, and what its clients were told.
type world struct {
	t     *testing.T
	addrs []string
	seed  uint64
	args  []string // of the servers
	// replication of the topics.
	replication int16
	kills       atomic.Int64 // how many there were; what a client holds by a promise of the process, such as a lock, ends with each
}

// TestKillKeepsEveryPromise runs producers, transactional pipelines, groups of both protocols and a queue ordered by key while the server is
// killed with SIGKILL and started again. Then: what pipelines committed is in the output once, and nothing that they aborted is; no
// partition had two owners; no committed offset went back; every queued record was delivered until it was accepted and not after, and
// never two of one key at once (RELIABILITY T1-T4, G2-G4, P1-P4).
func TestKillKeepsEveryPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("RAFKA_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	w := newWorld(t, 1)
	args := append(w.args, "--data-dir", t.TempDir())
	srv := testbin.Start(t, append(args, "--kafka-addr", "127.0.0.1:0")...)
	w.addrs = []string{srv.Kafka}
	args = append(args, "--kafka-addr", srv.Kafka)
	w.run(rounds, func(*rand.Rand) {
		srv.Kill()
		w.kills.Add(1)
		srv = testbin.Start(t, args...)
	}, func() {
		if _, code := srv.Stop(t); code != 0 {
			t.Fatalf("exit code %d after a clean stop:\n%s", code, srv.Log())
		}
		testbin.Start(t, args...)
	})
}

// newWorld is a world whose servers, which the caller starts with args, are not there yet.
func newWorld(t *testing.T, replication int16) *world {
	w := &world{t: t, seed: uint64(time.Now().UnixNano()), replication: replication}
	t.Logf("seed %d", w.seed)
	w.args = []string{"--http-addr", "", "--grpc-addr", "", "--log-level", "warn",
		"--set", "group.initial.rebalance.delay.ms=0", "--set", "group.min.session.timeout.ms=1000", "--set", "offsets.topic.num.partitions=8",
		"--set", "transaction.state.log.num.partitions=8", "--set", "share.coordinator.state.topic.num.partitions=8"}
	return w
}

// run works while harm is done, so many times, and then checks every promise, once more after a restart.
func (w *world) run(rounds int, harm func(*rand.Rand), restart func()) {
	t, rng := w.t, rand.New(rand.NewPCG(w.seed, 0))
	w.createTopics()

	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	in := newFeed("in", 4)
	clients.Go(func() { in.produce(ctx, w) })
	etl := newPipelines()
	for i := range 3 {
		clients.Go(func() { etl.run(ctx, w, i) })
	}
	var owners []*owners
	for _, protocol := range []string{"classic", "consumer"} {
		o := newOwners(protocol)
		owners = append(owners, o)
		for i := range 3 {
			clients.Go(func() { o.run(ctx, w, i) })
		}
	}
	q := newQueue()
	defer q.report(t)
	clients.Go(func() { q.feed(ctx, w) })
	for i := range 3 {
		clients.Go(func() { q.work(ctx, w, i) })
	}

	progress := func() [4]int64 {
		return [4]int64{in.acked.Load(), etl.commits.Load(), owners[0].commits.Load() + owners[1].commits.Load(), q.accepted.Load()}
	}
	for round := range rounds {
		time.Sleep(time.Duration(400+rng.IntN(1500)) * time.Millisecond) // load for a while; the length is part of what is tried
		harm(rng)
		before := progress()
		waitFor(t, fmt.Sprintf("everybody gets on after harm %d", round), func() bool {
			for i, n := range progress() {
				if n <= before[i] {
					return false
				}
			}
			return true
		})
		if t.Failed() {
			break
		}
	}
	in.stop.Store(true)
	q.stop.Store(true)
	waitFor(t, "the pipelines have read all input", func() bool { return t.Failed() || w.lag("etl", "in") == 0 })
	waitFor(t, "the queue is empty", func() bool { return t.Failed() || q.isDone() })
	stop()
	clients.Wait()
	t.Logf("%d records in, %d transactions committed, %d aborted, %d offsets committed, %d queued records accepted", in.acked.Load(), etl.commits.Load(),
		etl.aborts.Load(), owners[0].commits.Load()+owners[1].commits.Load(), q.accepted.Load())
	etl.verify(w, in)
	q.verify(t)
	restart()
	etl.verify(w, in)
	for _, o := range owners {
		o.verify(w)
	}
}

func (w *world) createTopics() {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.addrs...))
	if err != nil {
		w.t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for topic, n := range map[string]int32{"in": 4, "out": 4, "owned": 12, "jobs": 2} {
		if _, err := adm.CreateTopic(ctx, n, w.replication, nil, topic); err != nil {
			w.t.Fatal(err)
		}
	}
	w.setGroup(ctx, cl, "workers", map[string]string{"share.auto.offset.reset": "earliest", "share.ordering": "key", "share.delivery.count.limit": "10",
		"share.record.lock.duration.ms": "15000"})
}

// setGroup sets settings of a group.
func (w *world) setGroup(ctx context.Context, cl *kgo.Client, group string, settings map[string]string) {
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	for k, v := range settings {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = k, &v
		r.Configs = append(r.Configs, c)
	}
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Resources = append(q.Resources, r)
	a, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(a.Resources[0].ErrorCode)
	}
	if err != nil {
		w.t.Fatalf("settings of %s: %v", group, err)
	}
}

// admin runs fn with an administrative client of its own.
func (w *world) admin(fn func(ctx context.Context, adm *kadm.Client) error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.addrs...), kgo.RetryTimeout(5*time.Second))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return fn(ctx, kadm.NewClient(cl))
}

// lag is how many records of a topic the group has not committed; -1 while that cannot be told.
func (w *world) lag(group, topic string) (n int64) {
	err := w.admin(func(ctx context.Context, adm *kadm.Client) error {
		ends, err := adm.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return err
		}
		committed, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := committed.Lookup(topic, end.Partition)
			n += end.Offset - max(at.At, 0)
		})
		return nil
	})
	if err != nil {
		return -1
	}
	return n
}

// patient are the options of clients that go on through restarts.
func (w *world) patient(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{kgo.SeedBrokers(w.addrs...), kgo.RecordRetries(1 << 30), kgo.UnknownTopicRetries(-1), kgo.RetryTimeout(30 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(50 * time.Millisecond), kgo.ProduceRequestTimeout(5 * time.Second)}, more...)
}

// feed produces numbered values and notes which were acknowledged.
type feed struct {
	topic      string
	partitions int
	stop       atomic.Bool
	acked      atomic.Int64

	mu     sync.Mutex
	values map[string]bool
}

func newFeed(topic string, partitions int) *feed {
	return &feed{topic: topic, partitions: partitions, values: map[string]bool{}}
}

func (f *feed) produce(ctx context.Context, w *world) {
	cl, err := kgo.NewClient(w.patient(kgo.DefaultProduceTopic(f.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(300))...)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer cl.Close()
	for n := 0; ctx.Err() == nil && !f.stop.Load(); n++ {
		value := fmt.Sprintf("%08d", n)
		cl.Produce(context.Background(), &kgo.Record{Partition: int32(n % f.partitions), Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				w.t.Errorf("produce to %s: %v", f.topic, err)
				return
			}
			f.mu.Lock()
			f.values[value] = true
			f.mu.Unlock()
			f.acked.Add(1)
		})
		if n%20 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := cl.Flush(context.Background()); err != nil {
		w.t.Errorf("flush: %v", err)
	}
}
