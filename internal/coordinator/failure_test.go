package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// reload makes a new shard from the log.
func (w *world) reload() {
	w.lead(0, 2)
	w.lead(0, 1)
	synctest.Wait()
}

// nthFails is a Log whose append number n fails.
type nthFails struct {
	*memLog
	n int
}

func (l *nthFails) Append(i int32, e kafka.LeaderEpoch, b []byte, now time.Time) (kafka.Offset, error) {
	if l.n--; l.n == 0 {
		return 0, kafka.KafkaStorageError
	}
	return l.memLog.Append(i, e, b, now)
}

// COR-3: of an operation that may be split, what was written before it failed has happened, and the rest has not.
func TestHalfOfASplitOperationIsWhatTheLogHas(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.rt.opts.Log = &nthFails{w.log, 2}
		long := strings.Repeat("x", 600_000)
		_, err := Ask(t.Context(), w.rt, "a", func(c *counters, op *Op) int {
			op.Atomic(false)
			for i := range 3 {
				c.add(op, fmt.Sprint(i, long), 1)
			}
			return 0
		})
		synctest.Wait()
		var sums [2][3]int
		look := func(k int) {
			for i := range 3 {
				sums[k][i], _ = w.read(fmt.Sprint(i, long))
			}
		}
		look(0)
		w.reload()
		look(1)
		if sums[0] != sums[1] {
			t.Errorf("err %v; the shard says %v, the fold of its log %v", err, sums[0], sums[1])
		}
	})
}

// COR-7: a log that was cut by as much as is appended is not where it was left either.
func TestLogThatWasCutIsLoadedAgain(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		_, _ = w.add("a", 1)
		_, _ = w.add("a", 10)
		w.log.mu.Lock()
		p := w.log.at(0)
		p.batches, p.end = p.batches[:1], p.end-1
		w.log.mu.Unlock()
		_, err := w.add("a", 100)
		synctest.Wait()
		before, _ := w.read("a")
		w.reload()
		if after, _ := w.read("a"); after != before || err == nil {
			t.Errorf("err %v; the shard says %d, the fold of its log %d", err, before, after)
		}
	})
}

// COR-6: a timer that is due and waits for its shard is void once an operation has taken it away or replaced it.
func TestTimerThatWaitsCanBeCancelled(t *testing.T) {
	now := time.Unix(0, 0)
	var l timers
	l.init(func() time.Time { return now })
	fire := func(*timer) {}
	for _, again := range []Timer{{Key: "session"}, {Key: "session", After: time.Minute, Fn: func(*Op) {}}} {
		l.set(timerKey{nil, "session"}, Timer{"session", time.Second, func(*Op) {}}, now, fire)
		now = now.Add(2 * time.Second)
		due, _ := l.next()
		if due == nil {
			t.Fatal("the timer is not due")
		}
		l.set(timerKey{nil, "session"}, again, now, fire)
		if l.claim(due) {
			t.Errorf("%+v: the old timer fires", again)
		}
		l.set(timerKey{nil, "session"}, Timer{Key: "session"}, now, fire)
	}
}

// writesFirst is counters whose first operation writes something.
type writesFirst struct{ *counters }

func (writesFirst) Loaded(op *Op) { op.Emit(addition{"loaded", 1}) }

// started is a runtime of such shards, over a log that is led here from now on.
func started(t *testing.T, log Log) *Runtime[writesFirst] {
	img := metadata.Empty()
	rt := New(Options[writesFirst]{
		Topic: "__counters", NodeID: 1, Log: log, Image: func() *metadata.Image { return img },
		NewShard: func(reg *timeline.Registry, p int32) writesFirst { return writesFirst{newCounters(reg, p)} },
	})
	run := metadata.PartitionRun{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}}
	next, d, err := metadata.Fold(img, []metadata.Record{&metadata.TopicRecord{ID: kafka.UUID{1}, Name: "__counters", Internal: true, Partitions: []metadata.PartitionRun{run}}})
	if err != nil {
		t.Fatal(err)
	}
	img = next
	rt.Apply(img, d)
	return rt
}

// A first operation that cannot be written is tried again with the load, and leaves nobody watching.
func TestFirstOperationThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &memLog{partitions: map[int32]*memPartition{}, fail: kafka.NotEnoughReplicas}
		rt := started(t, log)
		defer rt.Close()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := log.watchers(0); n != 1 || rt.Phase(0) != PhaseActive {
			t.Errorf("%d watch the high watermark, phase %v", n, rt.Phase(0))
		}
		rt.Close()
		if n := log.watchers(0); n != 0 {
			t.Errorf("%d still watch after Close", n)
		}
	})
}

// moves is a Log to which another appends right after each load, n times.
type moves struct {
	*memLog
	n int
}

func (l *moves) Load(i int32, e kafka.LeaderEpoch, fn func([]byte) error) (kafka.Offset, error) {
	end, err := l.memLog.Load(i, e, fn)
	if l.n > 0 {
		l.n--
		var enc encoder
		b, _, _ := enc.encode([]Record{addition{"other", 1}}, noProducer, true, 0)
		_, _ = l.memLog.Append(i, e, b, time.Time{})
	}
	return end, err
}

// A first operation that finds its log moved is loaded once more, not twice at once.
func TestFirstOperationThatDiverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &memLog{partitions: map[int32]*memPartition{}}
		rt := started(t, &moves{log, 1})
		defer rt.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, loads := log.watchers(0), log.countLoads(); loads != 2 || n != 1 || rt.Phase(0) != PhaseActive {
			t.Errorf("%d loads, want 2; %d watch; phase %v", loads, n, rt.Phase(0))
		}
	})
}

// Who waits for a commit that cannot come, because the log has failed, is told; the shard is loaded again when the log can be read.
func TestLogThatFailsTellsWhoWaits(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		w.log.hold(true)
		done := make(chan error, 1)
		go func() { _, err := w.add("a", 1); done <- err }()
		synctest.Wait()
		w.log.breakLoads(errors.New("offline"))
		w.log.lose(0)
		synctest.Wait()
		if len(done) == 0 || kafka.CodeOf(<-done) != kafka.NotCoordinator {
			t.Error("who waits was not told")
		}
		w.log.breakLoads(nil)
		w.log.hold(false)
		time.Sleep(time.Minute)
		if n, err := w.add("a", 1); n != 2 || err != nil {
			t.Error(n, err)
		}
	})
}

// COR-3: a shard that panics has decided nothing: the operation is taken back and the others are served.
func TestPanicIsTakenBack(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		_, err := Ask(t.Context(), w.rt, "a", func(c *counters, op *Op) int {
			c.add(op, "a", 5)
			panic("a bug")
		})
		if kafka.CodeOf(err) != kafka.UnknownServerError {
			t.Error(err)
		}
		if n, err := w.add("a", 1); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
}
