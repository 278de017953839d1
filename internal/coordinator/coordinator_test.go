package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func (w *world) add(name string, n int) (int, error) {
	return Ask(context.Background(), w.rt, name, func(c *counters, op *Op) int { return c.add(op, name, n) })
}

func (w *world) read(name string) (int, error) {
	return Read(w.rt, name, func(c *counters, v View) int {
		n, _ := c.sums.GetAt(name, v.Committed)
		return n
	})
}

func bubble(t *testing.T, partitions int, fn func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, partitions)
		defer w.rt.Close()
		synctest.Wait()
		fn(t, w)
	})
}

// COR-2: an answer, and what others read, waits for the commit; also the answer of an operation that wrote nothing but may have seen what is
// not committed.
func TestAnswersWaitForTheCommit(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		if n, err := w.add("a", 1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		w.log.hold(true)
		answers := make(chan string, 10)
		go func() { n, err := w.add("a", 2); answers <- fmt.Sprint("wrote ", n, err) }()
		synctest.Wait()
		go func() {
			n, err := Ask(context.Background(), w.rt, "a", func(c *counters, op *Op) int { op.Effect("seen"); n, _ := c.sums.Get("a"); return n })
			answers <- fmt.Sprint("looked ", n, err)
		}()
		synctest.Wait()
		if n, err := w.read("a"); n != 1 || err != nil {
			t.Errorf("read %d %v before the commit", n, err)
		}
		if len(answers) > 0 || len(w.effects()) > 0 {
			t.Errorf("an answer or an effect left before the commit")
		}
		w.log.hold(false)
		synctest.Wait()
		if got := fmt.Sprint(<-answers, "; ", <-answers); got != "wrote 3 <nil>; looked 3 <nil>" && got != "looked 3 <nil>; wrote 3 <nil>" {
			t.Error(got)
		}
		if n, _ := w.read("a"); n != 3 || len(w.effects()) != 1 {
			t.Error(n, w.effects())
		}
	})
}

// COR-3: an append that fails leaves nothing behind: no state, no timer, no effect, no answer.
func TestFailedAppendLeavesNothing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		for _, tc := range []struct {
			fail error
			want kafka.ErrorCode
		}{
			{kafka.NotLeaderOrFollower, kafka.NotCoordinator}, {kafka.KafkaStorageError, kafka.CoordinatorNotAvailable},
			{kafka.NotEnoughReplicas, kafka.CoordinatorNotAvailable}, {kafka.InvalidProducerEpoch, kafka.InvalidProducerEpoch},
		} {
			w.log.failNext(tc.fail)
			_, err := Ask(context.Background(), w.rt, "a", func(c *counters, op *Op) int {
				op.Schedule("t", time.Second, func(*Op) { t.Error("the timer of a failed operation fired") })
				op.Effect("lost")
				return c.add(op, "a", 5)
			})
			if kafka.CodeOf(err) != tc.want {
				t.Errorf("%v became %v, want %v", tc.fail, err, tc.want)
			}
		}
		w.log.failNext(kafka.KafkaStorageError)
		_, err := AskLater(context.Background(), w.rt, "a", func(c *counters, op *Op, r *Reply[int]) { r.Give(op, c.add(op, "a", 5)) })
		if kafka.CodeOf(err) != kafka.CoordinatorNotAvailable {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if n, err := w.add("a", 1); n != 1 || err != nil || len(w.effects()) > 0 {
			t.Error(n, err, w.effects())
		}
	})
}

// A record that is too large is refused by itself; records that need not be together are split over batches.
func TestLargeOperations(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		long := strings.Repeat("x", 300_000)
		big := func(atomic bool) error {
			_, err := Ask(context.Background(), w.rt, "a", func(c *counters, op *Op) int {
				op.Atomic(atomic)
				for i := range 10 {
					c.add(op, fmt.Sprint(i, long), 1)
				}
				return 0
			})
			return err
		}
		if err := big(true); kafka.CodeOf(err) != kafka.UnknownServerError || !strings.Contains(err.Error(), "1000000 bytes") {
			t.Error(err)
		}
		if err := big(false); err != nil || len(w.log.partitions[0].batches) != 4 {
			t.Error(err, len(w.log.partitions[0].batches))
		}
		if w.rt.Phase(0) != PhaseActive {
			t.Error(w.rt.Phase(0))
		}
	})
}

// COR-4 and COR-5: only a loaded shard of this node serves; who waits when it goes is sent elsewhere; it comes back with what was written.
func TestShardsFollowTheirPartition(t *testing.T) {
	bubble(t, 2, func(t *testing.T, w *world) {
		if n, err := w.add("a", 7); n != 7 || err != nil {
			t.Fatal(n, err)
		}
		i, _ := w.rt.PartitionOf("a")
		errs := make(chan error, 2)
		go func() {
			_, err := AskLater(context.Background(), w.rt, "a", func(*counters, *Op, *Reply[int]) {}) // never answered
			errs <- err
		}()
		w.log.hold(true)
		go func() { _, err := w.add("a", 1); errs <- err }()
		synctest.Wait()
		w.lead(i, 2)
		synctest.Wait()
		for range 2 {
			if err := <-errs; kafka.CodeOf(err) != kafka.NotCoordinator {
				t.Error(err)
			}
		}
		if _, err := w.add("a", 1); kafka.CodeOf(err) != kafka.NotCoordinator || w.rt.Phase(i) != PhaseNone {
			t.Error(err, w.rt.Phase(i))
		}
		w.log.hold(false)
		w.log.gate = make(chan struct{})
		w.lead(i, 1)
		synctest.Wait()
		if _, err := w.add("a", 1); kafka.CodeOf(err) != kafka.CoordinatorLoadInProgress || w.rt.Phase(i) != PhaseLoading {
			t.Error(err, w.rt.Phase(i))
		}
		close(w.log.gate)
		if err := w.rt.Ready(t.Context(), i); err != nil {
			t.Error(err)
		}
		if n, err := w.read("a"); n != 8 || err != nil {
			t.Error(n, err)
		}
	})
}

// COR-5: a shard that was left behind with an older epoch cannot append.
func TestOlderEpochCannotAppend(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.log.at(0).epoch = 9 // somebody leads in a later epoch, and this node has not heard of it
		if _, err := w.add("a", 1); kafka.CodeOf(err) != kafka.NotCoordinator {
			t.Error(err)
		}
	})
}

// COR-7: a log that another has written to is loaded again, never continued.
func TestLogThatMovedIsLoadedAgain(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		if _, err := w.add("a", 1); err != nil {
			t.Fatal(err)
		}
		var e encoder
		b, _, err := e.encode([]Record{addition{"a", 10}}, noProducer, true, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.log.Append(0, 0, b, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.add("a", 100); kafka.CodeOf(err) != kafka.NotCoordinator {
			t.Error(err)
		}
		synctest.Wait()
		if n, err := w.read("a"); n != 111 || err != nil { // the 100 is in the log: its fate was unknown, and it happened
			t.Error(n, err)
		}
	})
}

// COR-6: timers are operations at their time; the last of a key counts; one that fails comes again.
func TestTimersAreOperations(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		fire := func(n int) func(*Op) { return func(op *Op) { op.Emit(addition{"a", n}) } }
		_, err := Ask(t.Context(), w.rt, "a", func(_ *counters, op *Op) int {
			op.Schedule("x", time.Second, fire(1))
			op.Schedule("y", time.Second, fire(10))
			op.Schedule("z", 2*time.Second, fire(100))
			op.Schedule("x", 3*time.Second, fire(1000))
			op.Cancel("y")
			return 0
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{0, 0, 100, 100} {
			if n, _ := w.read("a"); n != want {
				t.Errorf("after %d s: %d, want %d", i, n, want)
			}
			if i == 2 {
				w.log.failNext(kafka.KafkaStorageError)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n, _ := w.read("a"); n != 1100 {
			t.Errorf("the timer that failed was not tried again: %d", n)
		}
	})
}

// Markers end what was written in a transaction, also when the log is loaded.
func TestTransactionsAreFolded(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		for i := range 2 {
			p := Producer{ID: kafka.ProducerID(i)}
			if _, err := Ask(t.Context(), w.rt, "a", func(c *counters, op *Op) int { op.InTransaction(p); return c.add(op, "a", 5) }); err != nil {
				t.Fatal(err)
			}
			if err := w.rt.EndTxn(t.Context(), 0, p, 3, 0, i == 0); err != nil {
				t.Fatal(err)
			}
		}
		check := func() {
			if n, err := w.read("txn"); n != 5 || err != nil {
				t.Error(n, err)
			}
		}
		check()
		w.lead(0, 2)
		w.lead(0, 1)
		synctest.Wait()
		check()
	})
}

// A marker of the second version has an epoch above that of its records. One that comes again late has that of the records of the next transaction, and
// must not decide about those.
func TestALateMarkerEndsNothing(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		p := Producer{ID: 7, Epoch: 3}
		if _, err := Ask(t.Context(), w.rt, "a", func(c *counters, op *Op) int { op.InTransaction(p); return c.add(op, "a", 5) }); err != nil {
			t.Fatal(err)
		}
		if err := w.rt.EndTxn(t.Context(), 0, p, 3, 2, true); kafka.CodeOf(err) != kafka.InvalidProducerEpoch {
			t.Errorf("a late marker is answered with %v", err)
		}
		if n, err := w.read("txn"); n != 0 || err != nil {
			t.Errorf("a late marker has committed %d (%v)", n, err)
		}
		if err := w.rt.EndTxn(t.Context(), 0, Producer{ID: 7, Epoch: 4}, 3, 2, true); err != nil {
			t.Error(err)
		}
	})
}

// A log that cannot be read fails its shard, which is tried again with growing pauses.
func TestLoadIsTriedAgain(t *testing.T) {
	bubble(t, 0, func(t *testing.T, w *world) {
		if _, err := w.add("a", 1); kafka.CodeOf(err) != kafka.CoordinatorNotAvailable {
			t.Error(err)
		}
		w.log.breakLoads(errors.New("cannot be read"))
		run := metadata.PartitionRun{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}
		w.apply(&metadata.TopicRecord{ID: w.topic, Name: "__counters", Internal: true, Partitions: []metadata.PartitionRun{run}})
		synctest.Wait()
		if _, err := w.add("a", 1); kafka.CodeOf(err) != kafka.CoordinatorNotAvailable || w.rt.Phase(0) != PhaseFailed {
			t.Error(err, w.rt.Phase(0))
		}
		time.Sleep(10 * time.Second)
		if n := w.log.countLoads(); n > 5 {
			t.Errorf("%d loads in 10 s", n)
		}
		w.log.breakLoads(nil)
		time.Sleep(time.Minute)
		if n, err := w.add("a", 1); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
}

// Changes of the metadata reach every active shard, and a caller that gives up leaves no trace of itself.
func TestChangesAndCallersThatGiveUp(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		count := func() (changes int) {
			if err := Each(w.rt, func(c *counters, v View) { changes += c.changes.GetAt(v.Committed) }); err != nil {
				t.Error(err)
			}
			return changes
		}
		before := count() // of the creation of their own topic they heard when they were loaded
		w.apply(&metadata.TopicRecord{ID: kafka.UUID{2}, Name: "other"})
		if after := count(); before != 3 || after != 6 {
			t.Error(before, after)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := AskLater(ctx, w.rt, "a", func(_ *counters, op *Op, r *Reply[int]) {
			op.Schedule("late", time.Minute, func(op *Op) { r.Give(op, 1); r.Give(op, 2) })
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		if n, err := w.add("a", 1); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
}

// Notes are kept per shard, the last of them.
func TestNotesAreBounded(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		for i := range 2 * maxNotes {
			about := []string{"a", "b"}[i%2]
			_, _ = Ask(t.Context(), w.rt, about, func(_ *counters, op *Op) int { op.Note(about, fmt.Sprint(i)); return 0 })
		}
		notes := w.rt.Notes("b")
		if len(notes) != maxNotes/2 || notes[0].Text != fmt.Sprint(maxNotes+1) || notes[len(notes)-1].Text != fmt.Sprint(2*maxNotes-1) {
			t.Error(len(notes), notes[0], notes[len(notes)-1])
		}
	})
}

// COR-1, COR-2 and COR-3 under load: concurrent additions, some of which fail, with leaders that change. Every acknowledged addition counts, no
// more than were asked for do, and what a fresh load gives is what was there.
func TestConcurrentOperations(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	w := newWorld(t, 2)
	defer w.rt.Close()
	names := []string{"a", "b", "c", "d", "e"}
	var mu sync.Mutex
	acked, asked := map[string]int{}, map[string]int{}
	var clients sync.WaitGroup
	for id := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(id)))
		clients.Go(func() {
			for range 300 {
				name, n := names[rng.IntN(len(names))], 1+rng.IntN(9)
				mu.Lock()
				asked[name] += n
				mu.Unlock()
				if rng.IntN(20) == 0 {
					w.log.failNext(kafka.KafkaStorageError)
				}
				if _, err := w.add(name, n); err == nil {
					mu.Lock()
					acked[name] += n
					mu.Unlock()
				}
			}
		})
	}
	clients.Go(func() {
		for i := range int32(20) {
			w.lead(i%2, 2)
			w.lead(i%2, 1)
			_ = w.rt.Ready(context.Background(), i%2)
		}
	})
	clients.Wait()
	before := map[string]int{}
	for _, name := range names {
		var err error
		if before[name], err = w.read(name); err != nil || before[name] < acked[name] || before[name] > asked[name] {
			t.Errorf("%s is %d (%v), acknowledged %d, asked for %d", name, before[name], err, acked[name], asked[name])
		}
	}
	for i := range int32(2) {
		w.lead(i, 2)
		w.lead(i, 1)
		if err := w.rt.Ready(context.Background(), i); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if n, err := w.read(name); n != before[name] || err != nil {
			t.Errorf("%s is %d after a load (%v), was %d", name, n, err, before[name])
		}
	}
}

// The partitions of well-known ids are Kafka's: String.hashCode in Java.
func TestPartitionOfIsJavas(t *testing.T) {
	for key, want := range map[string]int32{"": 0, "a": 97 % 50, "group": 98629247 % 50, "polygenelubricants": 0, "héllo": 99162322 % 50} {
		if key == "héllo" {
			want = int32(javaHash(key)) % 50
		}
		if got := PartitionOf(key, 50); got != want {
			t.Errorf("%q is in %d, want %d", key, got, want)
		}
	}
	if javaHash("polygenelubricants") != 1<<31 || javaHash("𝄞") != 31*0xd834+0xdd1e {
		t.Error("not Java's hash")
	}
}

func BenchmarkAsk(b *testing.B) {
	b.ReportAllocs()
	w := newWorld(b, 1)
	defer w.rt.Close()
	if err := w.rt.Ready(context.Background(), 0); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Ask(context.Background(), w.rt, "a", func(c *counters, op *Op) int { n, _ := c.sums.Get("a"); return n }); err != nil {
			b.Fatal(err)
		}
	}
}
