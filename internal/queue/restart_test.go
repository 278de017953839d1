package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// QUE-3: after a restart what was accepted is not delivered again, and all else is; delivery counts are kept as far as they were written.
func TestRestartGoesOnFromTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a", "b", "c", "d")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 1, 1, share.AckAccept}), kafka.None)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 2, 2, share.AckRelease}), kafka.None)
		w.Manager.Close()
		w.start()
		m.epoch = 0
		got := m.fetch(0)
		wantTexts(t, got, "a", "c", "d")
		if got[0].count != 1 || got[1].count != 2 {
			t.Errorf("delivery counts %d and %d, want 1 and 2", got[0].count, got[1].count)
		}
	})
}

// share.auto.offset.reset says where a new group begins, and that is durable before anything is given out: what comes between the first fetch and
// the first acknowledgement is not lost by a restart.
func TestNewGroupBeginsWhereItShould(t *testing.T) {
	for _, c := range []struct {
		reset string
		by    time.Duration
		want  []string
	}{
		{"earliest", 0, []string{"old", "recent", "new"}},
		{"latest", 0, []string{"new"}},
		{"by_duration", time.Minute, []string{"recent", "new"}},
		{"by_duration", time.Nanosecond, []string{"new"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.topic("jobs", 1, 1)
			w.set(func() { w.share.OffsetReset, w.share.OffsetResetBy = c.reset, c.by })
			w.produce("jobs", 0, values("old")...)
			time.Sleep(2 * time.Minute)
			w.produce("jobs", 0, values("recent")...)
			time.Sleep(30 * time.Second)
			m := w.member("one", p(1, 0))
			m.fetch(0)
			w.produce("jobs", 0, values("new")...)
			w.Manager.Close()
			w.start()
			m.epoch = 0
			wantTexts(t, m.fetch(0), c.want...)
		})
	}
}

// QUE-5: a partition that gets another leader epoch gets another share partition, whose state is read anew; who waits is answered.
func TestNewLeaderReadsTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m, other := w.member("one", p(1, 0)), w.member("two", p(1, 0))
		wantTexts(t, m.fetch(0), "a")
		var got []fetched
		done := make(chan struct{})
		go func() {
			defer close(done)
			got = other.fetch(time.Minute)
		}()
		synctest.Wait()
		w.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, Partition: 0, State: metadata.Partition{
			Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1, LeaderEpoch: 5,
		}})
		w.produce("jobs", 0, values("b")...)
		<-done
		if len(got) == 1 { // it was answered before the second message was there
			got = append(got, other.fetch(time.Minute)...)
		}
		wantTexts(t, got, "a", "b")
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.InvalidRecordState)
		if s := w.states.of(p(1, 0)); s.leader != 5 {
			t.Errorf("leader epoch %d", s.leader)
		}
	})
}

// While the share coordinator cannot say what the state is, a fetch waits, and is answered without an error that clients do not expect.
func TestFetchWaitsForTheShareCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		w.states.fail = kafka.CoordinatorLoadInProgress
		m := w.member("one", p(1, 0))
		began := time.Now()
		wantTexts(t, m.fetch(500*time.Millisecond))
		if time.Since(began) != 500*time.Millisecond {
			t.Errorf("answered after %v", time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			w.states.mu.Lock()
			w.states.fail = kafka.None
			w.states.mu.Unlock()
		}()
		wantTexts(t, m.fetch(time.Minute), "a")
	})
}

// A write that nobody waits for, such as the end of a lock, is tried again until the share coordinator takes it.
func TestWritesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		w.states.mu.Lock()
		w.states.fail = kafka.NotCoordinator
		w.states.mu.Unlock()
		time.Sleep(w.share.LockDuration + time.Minute)
		w.states.mu.Lock()
		w.states.fail = kafka.None
		calls := w.states.calls
		w.states.mu.Unlock()
		if calls < 5 || calls > 30 {
			t.Errorf("%d writes in a minute", calls)
		}
		time.Sleep(writeBackoffMax)
		if s := w.states.of(p(1, 0)); s.offsets[0].count != 1 {
			t.Errorf("state %+v", s)
		}
	})
}

// A closed manager refuses, and leaves no goroutine (TestMain looks).
func TestClosedManagerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		m := w.member("one", p(1, 0))
		done := make(chan kafka.ErrorCode)
		go func() { done <- kafka.ErrorCode(m.send(m.ask(time.Minute)).ErrorCode) }()
		synctest.Wait()
		w.Manager.Close()
		wantCode(t, <-done, kafka.None)
		resp := m.ShareFetch(context.Background(), m.conn, m.ask(0))
		wantCode(t, kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode), kafka.NotLeaderOrFollower)
	})
}

// P6: share partitions of topics that are gone do not stay, even if the group lives on and nobody asks for them.
func TestRemovedTopicLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.topic("other", 2, 1)
		m := w.member("one", p(1, 0), p(2, 0))
		m.fetch(0)
		w.fold(&metadata.RemoveTopicRecord{ID: kafka.UUID{1}})
		time.Sleep(sweepInterval)
		synctest.Wait()
		if n := w.Gauges().SharePartitions; n != 1 {
			t.Errorf("%d share partitions", n)
		}
		resp := m.send(m.ask(time.Minute))
		if len(resp.Topics) != 1 || kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode) != kafka.UnknownTopicID {
			t.Errorf("%+v", resp.Topics)
		}
	})
}
