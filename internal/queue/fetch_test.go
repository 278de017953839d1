package queue

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// SHR-2: what one member holds no other gets, until it says what becomes of it. QUE-2: an acknowledgement is answered when it is durable.
func TestRecordsAreHeldUntilAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a", "b", "c")...)
		one, two := w.member("one", p(1, 0)), w.member("two", p(1, 0))
		got := one.fetch(0)
		wantTexts(t, got, "a", "b", "c")
		if got[0].count != 1 {
			t.Errorf("delivery count %d", got[0].count)
		}
		wantTexts(t, two.fetch(0))
		wantCode(t, two.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.InvalidRecordState)
		wantTexts(t, one.fetch(0, ackOf{p(1, 0), 0, 0, share.AckAccept}))
		if s := w.states.of(p(1, 0)); s.start != 1 {
			t.Errorf("start offset %d after the first record was accepted", s.start)
		}
		wantCode(t, one.acknowledge(ackOf{p(1, 0), 1, 1, share.AckRelease}), kafka.None)
		got = two.fetch(0)
		wantTexts(t, got, "b")
		if got[0].count != 2 {
			t.Errorf("delivery count %d at the second delivery", got[0].count)
		}
		wantCode(t, two.acknowledge(ackOf{p(1, 0), 1, 1, share.AckReject}), kafka.None)
		wantCode(t, one.acknowledge(ackOf{p(1, 0), 2, 2, share.AckAccept}), kafka.None)
		if s := w.states.of(p(1, 0)); s.start != 3 {
			t.Errorf("start offset %d after all was dealt with", s.start)
		}
		synctest.Wait()
		st := w.Stats()
		if st.Done.Load() != 3 || st.Archived() != 1 {
			t.Errorf("done %d archived %d", st.Done.Load(), st.Archived())
		}
		if st.Acquired.Load() != 4 || st.Accepted.Load() != 2 || st.Released.Load() != 1 || st.Rejected.Load() != 1 {
			t.Errorf("acquired %d accepted %d released %d rejected %d", st.Acquired.Load(), st.Accepted.Load(), st.Released.Load(), st.Rejected.Load())
		}
	})
}

// Each of these makes records available while a fetch waits; it must be answered then, not when its time is up.
func TestWaitingFetchIsWoken(t *testing.T) {
	for name, c := range map[string]struct {
		what func(w *world, holder *member)
		wait time.Duration // until the fetch is answered
	}{
		"by new records":       {what: func(w *world, _ *member) { w.produce("jobs", 0, values("new")...) }},
		"by a release":         {what: func(_ *world, m *member) { m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRelease}) }},
		"by an ended member":   {what: func(_ *world, m *member) { m.close() }},
		"by a connection":      {what: func(_ *world, m *member) { m.ConnectionClosed(m.conn) }},
		"by a fenced member":   {what: func(_ *world, m *member) { m.Release("g", m.name) }},
		"by the end of a lock": {what: func(*world, *member) {}, wait: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.topic("jobs", 1, 1)
				w.produce("jobs", 0, values("a")...)
				holder := w.member("holder", p(1, 0))
				wantTexts(t, holder.fetch(0), "a")
				began := time.Now()
				var took time.Duration
				var got []fetched
				done := make(chan struct{})
				go func() {
					defer close(done)
					got = w.member("waiting", p(1, 0)).fetch(time.Minute)
					took = time.Since(began)
				}()
				synctest.Wait()
				if w.Gauges().Waiting != 1 {
					t.Error("the fetch does not wait")
				}
				c.what(w, holder)
				<-done
				if len(got) != 1 || took != c.wait {
					t.Errorf("got %v after %v, want one record after %v", got, took, c.wait)
				}
			})
		})
	}
}

// SHR-3: the delivery count rises with each acquisition, and at the limit the record is archived.
func TestExpiredLockDeliversAgainUpToTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		for i := range int16(w.share.DeliveryCountLimit) {
			got := m.fetch(0)
			wantTexts(t, got, "a")
			if got[0].count != i+1 {
				t.Errorf("delivery count %d at delivery %d", got[0].count, i+1)
			}
			time.Sleep(w.share.LockDuration)
			synctest.Wait()
		}
		wantTexts(t, m.fetch(0))
		if s := w.states.of(p(1, 0)); s.start != 1 {
			t.Errorf("start offset %d after the record was archived", s.start)
		}
	})
}

// A fetch that gets nothing answers after its time with no partitions, and does not read all the while.
func TestFetchAnswersWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		began := time.Now()
		resp := w.member("one", p(1, 0)).send(w.member("one", p(1, 0)).ask(500 * time.Millisecond))
		if len(resp.Topics) != 0 || time.Since(began) != 500*time.Millisecond {
			t.Errorf("%d topics after %v", len(resp.Topics), time.Since(began))
		}
		if resp.AcquisitionLockTimeoutMillis != 30_000 {
			t.Errorf("lock time-out %d", resp.AcquisitionLockTimeoutMillis)
		}
	})
}

// MinBytes waits for as much as is asked for, unless the time is up.
func TestFetchWaitsForMinBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		req := m.ask(time.Second)
		req.MinBytes = 200
		began := time.Now()
		go func() {
			time.Sleep(300 * time.Millisecond)
			w.produce("jobs", 0, values("b")...)
			time.Sleep(300 * time.Millisecond)
			w.produce("jobs", 0, values("c")...)
		}()
		wantTexts(t, m.got(m.send(req)), "a", "b", "c")
		if time.Since(began) != 600*time.Millisecond {
			t.Errorf("answered after %v", time.Since(began))
		}
		req = m.ask(time.Second)
		req.MinBytes = 200
		began = time.Now()
		w.produce("jobs", 0, values("d")...)
		wantTexts(t, m.got(m.send(req)), "d")
		if time.Since(began) != time.Second {
			t.Errorf("answered after %v", time.Since(began))
		}
	})
}

// MaxRecords and MaxBytes bound an answer; what was not given goes to the next.
func TestFetchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 2)
		for range 4 {
			w.produce("jobs", 0, values("a", "b", "c")...)
			w.produce("jobs", 1, values("x")...)
		}
		m := w.member("one", p(1, 0), p(1, 1))
		req := m.ask(0)
		req.MaxRecords, req.ShareAcquireMode = 4, 1
		if got := m.got(m.send(req)); len(got) != 4 {
			t.Errorf("got %d records, want 4", len(got))
		}
		req = m.ask(0)
		req.MaxBytes = 10 // less than a batch: one is given all the same
		if got := m.got(m.send(req)); len(got) != 1 && len(got) != 2 && len(got) != 3 {
			t.Errorf("got %d records, want those of one batch", len(got))
		}
		for range 3 {
			m.fetch(0)
		}
		if n := w.Gauges().InFlight; n != 16 {
			t.Errorf("%d records in flight, want all 16", n)
		}
	})
}

// Unknown topics and partitions are told by partition; a deleted topic ends what waits for it.
func TestFetchOfWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		m := w.member("one", p(1, 0), p(1, 7), p(9, 0))
		resp := m.send(m.ask(time.Minute))
		codes := map[TopicPartition]kafka.ErrorCode{}
		for _, topic := range resp.Topics {
			for _, part := range topic.Partitions {
				codes[TopicPartition{topic.TopicID, part.Partition}] = kafka.ErrorCode(part.ErrorCode)
			}
		}
		if len(codes) != 2 || codes[p(1, 7)] != kafka.UnknownTopicOrPartition || codes[p(9, 0)] != kafka.UnknownTopicID {
			t.Errorf("codes %v", codes)
		}
		wantCode(t, m.acknowledge(ackOf{p(9, 0), 0, 0, share.AckAccept}), kafka.UnknownTopicID)
	})
}
