package route

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// taker is a member of a share group at a door.
type taker struct {
	*world
	session *broker.Session
	epoch   int32
	parts   []partitionAt
	held    map[int64]partitionAt
}

func (w *world) taker(partitions ...int32) *taker {
	one := &taker{world: w, session: &broker.Session{Door: "test"}, held: map[int64]partitionAt{}}
	for _, p := range partitions {
		one.parts = append(one.parts, partitionAt{kafka.UUID{1}, p})
	}
	return one
}

var takerGroup, takerID = "g", "m"

// takeSome fetches and returns the offsets, sorted, and the code of the whole or of the first partition that has one.
func (t *taker) takeSome(ctx context.Context, most int32, wait time.Duration) (offsets []int64, code kafka.ErrorCode) {
	q := kmsg.NewPtrShareFetchRequest()
	q.Version, q.GroupID, q.MemberID, q.ShareSessionEpoch, q.MaxRecords, q.MaxWaitMillis = 2, &takerGroup, &takerID, t.epoch, most, int32(wait.Milliseconds())
	if t.epoch == 0 {
		for _, p := range t.parts {
			q.Topics = append(q.Topics, kmsg.ShareFetchRequestTopic{TopicID: p.topic, Partitions: []kmsg.ShareFetchRequestTopicPartition{{Partition: p.partition}}})
		}
	}
	a := t.ShareFetch(ctx, t.session, q)
	if code = kafka.ErrorCode(a.ErrorCode); code != kafka.None {
		t.epoch = 0
		return nil, code
	}
	t.epoch = follows(t.epoch)
	for _, topic := range a.Topics {
		for _, p := range topic.Partitions {
			if p.ErrorCode != 0 && code == kafka.None {
				code = kafka.ErrorCode(p.ErrorCode)
			}
			for _, r := range p.AcquiredRecords {
				offsets = append(offsets, r.FirstOffset)
				t.held[r.FirstOffset] = partitionAt{topic.TopicID, p.Partition}
			}
		}
	}
	slices.Sort(offsets)
	return offsets, code
}

// ack accepts records and returns the code of each.
func (t *taker) ack(offsets ...int64) (codes []kafka.ErrorCode) {
	q := kmsg.NewPtrShareAcknowledgeRequest()
	q.Version, q.GroupID, q.MemberID, q.ShareSessionEpoch = 2, &takerGroup, &takerID, t.epoch
	for _, o := range offsets {
		at := t.held[o]
		p := kmsg.ShareAcknowledgeRequestTopicPartition{Partition: at.partition, AcknowledgementBatches: []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{{FirstOffset: o, LastOffset: o, AcknowledgeTypes: []int8{1}}}}
		q.Topics = append(q.Topics, kmsg.ShareAcknowledgeRequestTopic{TopicID: at.topic, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{p}})
	}
	a := t.ShareAcknowledge(t.Context(), t.session, q)
	if a.ErrorCode != 0 {
		return []kafka.ErrorCode{kafka.ErrorCode(a.ErrorCode)}
	}
	t.epoch = follows(t.epoch)
	byPartition := map[partitionAt]kafka.ErrorCode{}
	for _, topic := range a.Topics {
		for _, p := range topic.Partitions {
			byPartition[partitionAt{topic.TopicID, p.Partition}] = kafka.ErrorCode(p.ErrorCode)
		}
	}
	for _, o := range offsets {
		codes = append(codes, byPartition[t.held[o]])
	}
	return codes
}

func allNone(codes []kafka.ErrorCode) bool {
	return !slices.ContainsFunc(codes, func(c kafka.ErrorCode) bool { return c != kafka.None })
}

// RTE-4
func TestTakerGetsNoMoreThanItAsksForFromAnyBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 3, 1, 2, 3)
		for p := range int32(3) {
			w.shares.fill(partitionAt{kafka.UUID{1}, p}, int64(p)*100, int64(p)*100+1)
		}
		one := w.taker(0, 1, 2)
		var all []int64
		for range 6 {
			got, code := one.takeSome(t.Context(), 1, time.Second)
			if len(got) != 1 || code != kafka.None {
				t.Fatalf("%v %v", got, code)
			}
			all = append(all, got...)
		}
		if slices.Sort(all); !slices.Equal(all, []int64{0, 1, 100, 101, 200, 201}) {
			t.Error(all)
		}
		if got := one.ack(all...); !allNone(got) {
			t.Error(got)
		}
		begun := time.Now()
		if got, code := one.takeSome(t.Context(), 1, 2*time.Second); len(got) > 0 || code != kafka.None || time.Since(begun) < 2*time.Second || time.Since(begun) > 3*time.Second {
			t.Errorf("%v %v after %v", got, code, time.Since(begun))
		}
		go func() {
			time.Sleep(time.Second)
			w.shares.fill(partitionAt{kafka.UUID{1}, 2}, 202)
		}()
		if got, _ := one.takeSome(t.Context(), 5, time.Minute); !slices.Equal(got, []int64{202}) {
			t.Error(got)
		}
		two := w.taker(2)
		two.session = &broker.Session{Door: "test"}
		w.SessionClosed(one.session) // what it holds is free again
		if got, _ := two.takeSome(t.Context(), 5, time.Second); !slices.Equal(got, []int64{202}) {
			t.Error(got)
		}
	})
}

// What a broker gave that does not lead any more, or is lost, is not held any more; the member goes on with who leads now.
func TestTakerFollowsTheLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 3, 2, 3)
		at := partitionAt{kafka.UUID{1}, 0}
		w.shares.fill(at, 1, 2)
		one := w.taker(0, 1)
		if got, _ := one.takeSome(t.Context(), 1, time.Second); !slices.Equal(got, []int64{1}) {
			t.Fatal(got)
		}
		w.lead("jobs", 0, 1)
		if got, _ := one.takeSome(t.Context(), 1, time.Second); !slices.Equal(got, []int64{2}) {
			t.Fatal(got)
		}
		if got := one.ack(2); !allNone(got) {
			t.Error(got)
		}
		if got, _ := one.takeSome(t.Context(), 1, time.Second); !slices.Equal(got, []int64{1}) { // the session with broker 2 has ended
			t.Fatal(got)
		}
		if got := one.ack(1); !allNone(got) {
			t.Error(got)
		}
		w.shares.fill(partitionAt{kafka.UUID{1}, 1}, 50)
		if got, _ := one.takeSome(t.Context(), 1, time.Second); !slices.Equal(got, []int64{50}) {
			t.Fatal(got)
		}
		w.set(func() { w.down[3] = true })
		if got := one.ack(50); len(got) != 1 || got[0] != kafka.NetworkException {
			t.Error(got)
		}
		if got := one.ack(50); len(got) != 1 || got[0] != kafka.InvalidRecordState {
			t.Error(got)
		}
		if got, code := one.takeSome(t.Context(), 1, time.Second); len(got) > 0 || code != kafka.NetworkException {
			t.Error(got, code)
		}
		w.lead("jobs", 1, kafka.NoBroker)
		if got, code := one.takeSome(t.Context(), 1, time.Second); len(got) > 0 || code != kafka.LeaderNotAvailable {
			t.Error(got, code)
		}
		w.lead("jobs", 1, 2) // the record went back with the connection of broker 3
		if got, _ := one.takeSome(t.Context(), 1, time.Second); !slices.Equal(got, []int64{50}) {
			t.Fatal(got)
		}
	})
}

// A fetch whose asker does not wait any more is not cut off: the member holds what it held.
func TestTakerThatGivesUpKeepsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 3, 2)
		w.shares.fill(partitionAt{kafka.UUID{1}, 0}, 1)
		one := w.taker(0)
		if got, _ := one.takeSome(t.Context(), 1, time.Second); !slices.Equal(got, []int64{1}) {
			t.Fatal(got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, code := one.takeSome(ctx, 1, time.Minute); len(got) > 0 || code != kafka.None {
			t.Error(got, code)
		}
		if got := one.ack(1); !allNone(got) {
			t.Error(got)
		}
	})
}

func TestSessionsOfTakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 3, 2, 1)
		w.shares.fill(partitionAt{kafka.UUID{1}, 0}, 1)
		one := w.taker(0)
		if got, _ := one.takeSome(t.Context(), 1, 0); !slices.Equal(got, []int64{1}) {
			t.Fatal(got)
		}
		epoch := one.epoch
		one.epoch += 5
		if _, code := one.takeSome(t.Context(), 1, 0); code != kafka.InvalidShareSessionEpoch {
			t.Error(code)
		}
		one.epoch = epoch + 5
		if got := one.ack(1); got[0] != kafka.InvalidShareSessionEpoch {
			t.Error(got)
		}
		one.epoch = epoch
		w.shares.ended(one.connTo(2)) // the other broker has forgotten the session: another one is begun, and the record is there again
		if got, _ := one.takeSome(t.Context(), 1, 0); !slices.Equal(got, []int64{1}) {
			t.Error(got)
		}
		q := kmsg.NewPtrShareFetchRequest()
		q.GroupID, q.MemberID, q.ShareSessionEpoch = &takerGroup, &takerID, one.epoch
		q.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: kafka.UUID{1}, Partitions: []kmsg.ShareFetchRequestTopicPartition{{AcknowledgementBatches: make([]kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch, 1)}}}}
		if a := w.ShareFetch(t.Context(), one.session, q); kafka.ErrorCode(a.ErrorCode) != kafka.InvalidRequest {
			t.Error(kafka.ErrorCode(a.ErrorCode))
		}
		q.Topics, q.ForgottenTopicsData = []kmsg.ShareFetchRequestTopic{{TopicID: kafka.UUID{1}, Partitions: []kmsg.ShareFetchRequestTopicPartition{{Partition: 1}}}},
			[]kmsg.ShareFetchRequestForgottenTopicsData{{TopicID: kafka.UUID{1}, Partitions: []int32{0}}}
		if a := w.ShareFetch(t.Context(), one.session, q); a.ErrorCode != 0 {
			t.Error(kafka.ErrorCode(a.ErrorCode))
		}
		if m := w.members.of(w.Verbs, one.session, &takerGroup, &takerID, false); !slices.Equal(m.partitions, []partitionAt{{kafka.UUID{1}, 1}}) {
			t.Error(m.partitions)
		}
		w.Close()
		if n := len(w.shares.sessions); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// connTo is the taker's connection to a broker.
func (t *taker) connTo(id kafka.BrokerID) any {
	m := t.members.of(t.Verbs, t.session, &takerGroup, &takerID, false)
	return m.brokers[id].conn
}

// RTE-2: on a node of its own everything is the broker's own affair, also when others join later.
func TestTakersOfABrokerThatIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("jobs", 1, 1, 1)
		all := w.Image()
		alone := *all
		alone.Brokers = map[kafka.BrokerID]*metadata.Broker{1: all.Brokers[1]}
		w.set(func() { w.img = &alone })
		w.shares.fill(partitionAt{kafka.UUID{1}, 0}, 1, 2)
		one := w.taker(0)
		if got, _ := one.takeSome(t.Context(), 1, 0); !slices.Equal(got, []int64{1}) || len(w.members.all) > 0 {
			t.Error(got)
		}
		w.set(func() { w.img = all })
		if got, _ := one.takeSome(t.Context(), 1, 0); !slices.Equal(got, []int64{2}) || !allNone(one.ack(1, 2)) {
			t.Error(got)
		}
		w.SessionClosed(one.session)
	})
}
