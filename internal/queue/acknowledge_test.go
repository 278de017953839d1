package queue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// QUE-2: no acknowledgement is answered before the share coordinator has it, and while it is under way there is no other of that record.
func TestAcknowledgementWaitsUntilItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		hold := make(chan struct{})
		w.states.mu.Lock()
		w.states.hold = hold
		w.states.mu.Unlock()
		answered := make(chan kafka.ErrorCode)
		go func() { answered <- m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}) }()
		synctest.Wait()
		select {
		case <-answered:
			t.Fatal("answered before it was written")
		default:
		}
		req := m.askAck(ackOf{p(1, 0), 0, 0, share.AckRelease})
		req.ShareSessionEpoch++
		wantCode(t, kafka.ErrorCode(w.ShareAcknowledge(context.Background(), m.conn, req).Topics[0].Partitions[0].ErrorCode), kafka.InvalidRecordState)
		close(hold)
		wantCode(t, <-answered, kafka.None)
	})
}

// QUE-2: when the write fails the member is told and still holds the record, and may say so again.
func TestAcknowledgementThatIsNotWrittenDidNotHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m, other := w.member("one", p(1, 0)), w.member("two", p(1, 0))
		m.fetch(0)
		fail := func(c kafka.ErrorCode) {
			w.states.mu.Lock()
			w.states.fail = c
			w.states.mu.Unlock()
		}
		fail(kafka.CoordinatorLoadInProgress)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.CoordinatorNotAvailable)
		wantTexts(t, other.fetch(0))
		fail(kafka.None)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.None)
		if s := w.states.of(p(1, 0)); s.start != 1 {
			t.Errorf("start offset %d", s.start)
		}
	})
}

// A leader that was fenced throws what it knows away: who acknowledges is sent elsewhere, and the next fetch reads the state anew.
func TestFencedStateIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a", "b")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		w.states.mu.Lock()
		one := w.states.getLocked(partitionKey{"g", p(1, 0)})
		one.epoch, one.start = 7, 1
		w.states.mu.Unlock()
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckAccept}), kafka.NotLeaderOrFollower)
		synctest.Wait()
		wantTexts(t, m.fetch(0), "b")
	})
}

// Piggy-backed acknowledgements have errors of their own, by partition.
func TestFetchTellsOfItsAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 2)
		w.produce("jobs", 0, values("a")...)
		w.produce("jobs", 1, values("b")...)
		m := w.member("one", p(1, 0), p(1, 1))
		m.fetch(0)
		resp := m.send(m.ask(0, ackOf{p(1, 0), 0, 0, share.AckAccept}, ackOf{p(1, 1), 0, 5, share.AckAccept}))
		codes := map[int32]kafka.ErrorCode{}
		for _, topic := range resp.Topics {
			for _, part := range topic.Partitions {
				codes[part.Partition] = kafka.ErrorCode(part.AcknowledgeErrorCode)
				if part.Records == nil {
					t.Error("no records are null, which Java clients cannot read")
				}
			}
		}
		if len(codes) != 2 || codes[0] != kafka.None || codes[1] != kafka.InvalidRequest {
			t.Errorf("codes %v", codes)
		}
	})
}

// KIP-1222: a renewed lock runs for its time again; without being announced, or where the group forbids it, it is refused.
func TestLockIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m, other := w.member("one", p(1, 0)), w.member("two", p(1, 0))
		m.fetch(0)
		time.Sleep(20 * time.Second)
		wantCode(t, m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRenew}), kafka.None)
		req := m.askAck(ackOf{p(1, 0), 0, 0, share.AckRenew})
		req.IsRenewAck = false
		m.epoch++
		wantCode(t, kafka.ErrorCode(w.ShareAcknowledge(context.Background(), m.conn, req).Topics[0].Partitions[0].ErrorCode), kafka.InvalidRequest)
		time.Sleep(20 * time.Second)
		wantTexts(t, other.fetch(0))
		time.Sleep(11 * time.Second)
		wantTexts(t, other.fetch(0), "a")
		w.set(func() { w.share.RenewEnabled = false })
		other.fetch(0)
		wantCode(t, other.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRenew}), kafka.InvalidRecordState)
	})
}

// A client that gave up waiting does not keep the answer from being right for the others.
func TestCallerMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		m.fetch(0)
		hold := make(chan struct{})
		w.states.mu.Lock()
		w.states.hold = hold
		w.states.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		resp := w.ShareAcknowledge(ctx, m.conn, m.askAck(ackOf{p(1, 0), 0, 0, share.AckAccept}))
		wantCode(t, kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode), kafka.RequestTimedOut)
		close(hold)
		synctest.Wait()
		if s := w.states.of(p(1, 0)); s.start != 1 {
			t.Errorf("start offset %d", s.start)
		}
	})
}
