package queue

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// QUE-1: one request of a session after the other, each with the epoch that follows; anything else is refused with Kafka's code.
func TestSessionEpochsFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0))
		code := func(epoch int32, change ...func(*kmsg.ShareFetchRequest)) kafka.ErrorCode {
			m.epoch = epoch
			req := m.ask(0)
			for _, c := range change {
				c(req)
			}
			return kafka.ErrorCode(w.ShareFetch(context.Background(), m.conn, req).ErrorCode)
		}
		ackCode := func(epoch int32) kafka.ErrorCode {
			m.epoch = epoch
			return m.acknowledge(ackOf{p(1, 0), 0, 0, share.AckRenew})
		}
		wantCode(t, code(1), kafka.ShareSessionNotFound)
		wantCode(t, code(finalEpoch), kafka.ShareSessionNotFound)
		wantCode(t, ackCode(1), kafka.ShareSessionNotFound)
		wantCode(t, code(0), kafka.None)
		wantCode(t, code(2), kafka.InvalidShareSessionEpoch)
		wantCode(t, code(1), kafka.None)
		wantCode(t, code(1), kafka.InvalidShareSessionEpoch)
		wantCode(t, ackCode(0), kafka.InvalidShareSessionEpoch)
		wantCode(t, ackCode(1), kafka.InvalidShareSessionEpoch)
		wantCode(t, ackCode(2), kafka.None)
		wantCode(t, code(0), kafka.None) // begins anew
		wantCode(t, code(1), kafka.None)
		wantCode(t, code(0, func(r *kmsg.ShareFetchRequest) {
			r.Topics[0].Partitions[0].AcknowledgementBatches = []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{{AcknowledgeTypes: []int8{1}}}
		}), kafka.InvalidRequest)
		wantCode(t, code(2, func(r *kmsg.ShareFetchRequest) { r.IsRenewAck = true }), kafka.InvalidRequest)
		wantCode(t, code(0, func(r *kmsg.ShareFetchRequest) { r.GroupID = nil }), kafka.InvalidRequest)
		wantCode(t, code(0, func(r *kmsg.ShareFetchRequest) { r.MemberID = new(string) }), kafka.InvalidRequest)
		wantCode(t, code(0, func(r *kmsg.ShareFetchRequest) { long := strings.Repeat("m", 37); r.MemberID = &long }), kafka.InvalidRequest)
		wantCode(t, code(2), kafka.None)
		wantCode(t, code(finalEpoch), kafka.None)
		wantCode(t, code(3), kafka.ShareSessionNotFound)
	})
}

// After 2^31-1 comes 1, for 0 would open a new session.
func TestSessionEpochsWrap(t *testing.T) {
	if e := nextEpoch(1<<31 - 1); e != 1 {
		t.Errorf("got %d", e)
	}
}

// P6, QUE-1: there are so many sessions at most; who is refused waits before it is told, and a place that becomes free is given.
func TestSessionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1)
		w.values["group.share.max.share.sessions"] = "1"
		one, two := w.member("one", p(1, 0)), w.member("two", p(1, 0))
		one.fetch(0)
		began := time.Now()
		wantCode(t, kafka.ErrorCode(two.send(two.ask(time.Second)).ErrorCode), kafka.ShareSessionLimitReached)
		if time.Since(began) != time.Second {
			t.Errorf("refused after %v", time.Since(began))
		}
		one.ConnectionClosed(one.conn)
		wantCode(t, kafka.ErrorCode(two.send(two.ask(time.Second)).ErrorCode), kafka.None)
		if n := w.Stats().SessionsRefused.Load(); n != 1 {
			t.Errorf("%d sessions refused", n)
		}
	})
}

// A session has the partitions that were added and not forgotten.
func TestSessionForgetsPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 3)
		m := w.member("one", p(1, 0), p(1, 1))
		m.fetch(0)
		req := m.ask(0)
		req.ForgottenTopicsData = []kmsg.ShareFetchRequestForgottenTopicsData{{TopicID: kafka.UUID{1}, Partitions: []int32{0}}}
		part := kmsg.NewShareFetchRequestTopicPartition()
		part.Partition = 2
		req.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: kafka.UUID{1}, Partitions: []kmsg.ShareFetchRequestTopicPartition{part}}}
		m.got(m.send(req))
		for i := range int32(3) {
			w.produce("jobs", i, values(string(rune('a'+i)))...)
		}
		got := texts(m.fetch(0))
		if len(got) != 2 || strings.Contains(strings.Join(got, ""), "a") {
			t.Errorf("got %q, want b and c", got)
		}
	})
}

// P6: a group that has gone leaves nothing here.
func TestEndedGroupIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 2)
		w.produce("jobs", 0, values("a")...)
		m := w.member("one", p(1, 0), p(1, 1))
		m.fetch(0)
		if n := w.Gauges().SharePartitions; n != 2 {
			t.Errorf("%d share partitions", n)
		}
		m.close()
		synctest.Wait()
		if g := w.Gauges(); g.SharePartitions != 0 || g.Sessions != 0 {
			t.Errorf("left behind: %+v", g)
		}
		wantTexts(t, m.fetch(0), "a")
	})
}

// More partitions than a session may have are refused before they are remembered.
func TestSessionPartitionsAreLimited(t *testing.T) {
	var s sessions
	s.init()
	many := make([]TopicPartition, maxSessionPartitions+1)
	for i := range many {
		many[i].Partition = int32(i)
	}
	_, err := s.fetch(memberKey{"g", "m"}, nil, 0, many, nil, 10)
	wantCode(t, kafka.CodeOf(err), kafka.InvalidRequest)
	if s.count() != 0 {
		t.Error("the session was opened all the same")
	}
}
