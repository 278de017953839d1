package kafkasrv

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// partitionsOf lists what an answer tells, as topic-partition with its number of bytes.
func partitionsOf(resp *kmsg.FetchResponse) map[kafka.TopicPartition]int {
	m := map[kafka.TopicPartition]int{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			m[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = len(p.RecordBatches)
		}
	}
	return m
}

// A session from its opening to its end: full answer, only news afterwards, changed offsets, forgotten partitions, wrong epochs, the end.
func TestFetchSessionTellsNewsOnly(t *testing.T) {
	d := open(t, newFakeBroker("a", "b"), Options{})
	c := d.dial(t)
	full := fetchOf("a", kafka.UUID{}, 0)
	full.Topics = append(full.Topics, fetchOf("b", kafka.UUID{}, 0).Topics...)
	resp := c.ask(full).(*kmsg.FetchResponse)
	if resp.SessionID == 0 || len(partitionsOf(resp)) != 2 {
		t.Fatalf("%+v", resp)
	}
	id := resp.SessionID
	step := func(epoch int32, change func(q *kmsg.FetchRequest)) *kmsg.FetchResponse {
		t.Helper()
		q := kmsg.NewPtrFetchRequest()
		q.Version, q.SessionID, q.SessionEpoch = 12, id, epoch
		if change != nil {
			change(q)
		}
		return c.ask(q).(*kmsg.FetchResponse)
	}
	if resp := step(1, nil); len(resp.Topics) != 0 || resp.SessionID != id || resp.ErrorCode != 0 {
		t.Fatalf("nothing is new: %+v", resp)
	}
	c.ask(produceTo("b", -1, batch(5)))
	b0 := kafka.TopicPartition{Topic: "b"}
	if got := partitionsOf(step(2, nil)); len(got) != 1 || got[b0] != len(batch(5)) {
		t.Fatalf("%v", got)
	}
	moved := func(q *kmsg.FetchRequest) { q.Topics = fetchOf("b", kafka.UUID{}, 1).Topics }
	if resp := step(3, moved); len(resp.Topics) != 0 {
		t.Fatalf("behind the end there is no news: %+v", resp)
	}
	forget := func(q *kmsg.FetchRequest) {
		q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "b", Partitions: []int32{0, 1}}}
	}
	c.ask(produceTo("b", -1, batch(5)))
	if resp := step(4, forget); len(resp.Topics) != 0 {
		t.Fatalf("forgotten: %+v", resp)
	}
	unknown := func(q *kmsg.FetchRequest) { q.Topics = fetchOf("none", kafka.UUID{}, 0).Topics }
	for epoch := int32(5); epoch < 8; epoch++ { // an error is told each time
		if got := step(epoch, unknown).Topics; len(got) != 1 || got[0].Partitions[0].ErrorCode != int16(kafka.UnknownTopicOrPartition) {
			t.Fatalf("%+v", got)
		}
	}
	if resp := step(6, nil); resp.ErrorCode != int16(kafka.InvalidFetchSessionEpoch) || len(resp.Topics) != 0 {
		t.Fatalf("an epoch again: %+v", resp)
	}
	byID := kmsg.NewPtrFetchRequest()
	byID.Version, byID.SessionID, byID.SessionEpoch = 13, id, 8
	if resp := c.ask(byID).(*kmsg.FetchResponse); resp.ErrorCode != int16(kafka.FetchSessionTopicIDError) {
		t.Fatalf("%+v", resp)
	}
	if resp := step(sessionless, nil); resp.SessionID != 0 || resp.ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	if resp := step(8, nil); resp.ErrorCode != int16(kafka.FetchSessionIDNotFound) {
		t.Fatalf("it was ended: %+v", resp)
	}
	if got := d.Stats().Sessions; got != (FetchSessionStats{}) {
		t.Errorf("%+v", got)
	}
}

// Forgetting the last partition ends the session, as in Kafka.
func TestEmptyFetchSessionEnds(t *testing.T) {
	d := open(t, newFakeBroker("a"), Options{})
	c := d.dial(t)
	id := c.ask(fetchOf("a", kafka.UUID{}, 0)).(*kmsg.FetchResponse).SessionID
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.SessionID, q.SessionEpoch = 12, id, 1
	q.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: "a", Partitions: []int32{0}}}
	if resp := c.ask(q).(*kmsg.FetchResponse); resp.SessionID != 0 || resp.ErrorCode != 0 || d.Stats().Sessions.Sessions != 0 {
		t.Errorf("%+v", resp)
	}
}

// The bytes of several extents, larger than what is gathered before a write, arrive unmixed.
func TestFetchedRecordsArriveWhole(t *testing.T) {
	d := open(t, newFakeBroker("a", "b"), Options{})
	c := d.dial(t)
	c.ask(hello())
	want := map[string][]byte{}
	for _, topic := range []string{"a", "b"} {
		b := batch(coalesce + 1000)
		for i := record.HeaderSize; i < len(b); i++ {
			b[i] = byte(i) ^ topic[0]
		}
		c.ask(produceTo(topic, -1, b))
		record.Stamp(b, 0, 0)
		want[topic] = b
	}
	q := fetchOf("a", kafka.UUID{}, 0)
	q.Topics = append(q.Topics, fetchOf("b", kafka.UUID{}, 0).Topics...)
	for _, got := range c.ask(q).(*kmsg.FetchResponse).Topics {
		if string(got.Partitions[0].RecordBatches) != string(want[got.Topic]) {
			t.Errorf("%s differs", got.Topic)
		}
	}
}

// zstd came with Produce 7 and Fetch 10: older clients are told instead of being given what they cannot read.
func TestOldClientsGetNoZstd(t *testing.T) {
	d := open(t, newFakeBroker("a"), Options{})
	c := d.dial(t)
	b := batch(5)
	b[22] = byte(zstdCodec)
	q := produceTo("a", -1, b)
	q.Version = 6
	if got := c.ask(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; got != int16(kafka.UnsupportedCompressionType) {
		t.Errorf("error %d", got)
	}
	q.Version = 7
	c.ask(q)
	f := fetchOf("a", kafka.UUID{}, 0)
	f.Version = 9
	if got := c.ask(f).(*kmsg.FetchResponse).Topics[0].Partitions[0]; got.ErrorCode != int16(kafka.UnsupportedCompressionType) || len(got.RecordBatches) != 0 {
		t.Errorf("%+v", got)
	}
	f.Version = 10
	if got := c.ask(f).(*kmsg.FetchResponse).Topics[0].Partitions[0]; got.ErrorCode != 0 || len(got.RecordBatches) == 0 {
		t.Errorf("%+v", got)
	}
}

// full makes a call as if answered, for a cache without a server.
func fullFetch(partitions int) *fetchCall {
	f := &fetchCall{epoch: firstEpoch}
	for i := range partitions {
		f.req.Partitions = append(f.req.Partitions, broker.FetchPartition{Topic: "t", Partition: int32(i)})
		f.results = append(f.results, broker.FetchResult{})
	}
	return f
}

var consumers, followers = sessionKind{}, sessionKind{follower: true}

// A follower gets a place at a consumer's expense and never the other way round; among followers it is as among consumers.
func TestFetchSessionsOfFollowersComeFirst(t *testing.T) {
	start := time.Unix(1000, 0)
	cache := newSessionCache(2)
	one, other := cache.create(fullFetch(9), consumers, start), cache.create(fullFetch(8), consumers, start)
	first := cache.create(fullFetch(3), followers, start)
	if first == 0 || cache.find(other) != nil || cache.find(one) == nil {
		t.Fatal("the smallest consumer must make room at once")
	}
	second := cache.create(fullFetch(1), followers, start)
	if second == 0 || cache.find(one) != nil {
		t.Fatal("a larger consumer must make room as well")
	}
	later := start.Add(sessionRest + time.Second)
	cache.touch(first, 3, later)
	cache.touch(second, 1, later)
	if cache.create(fullFetch(9), consumers, later) != 0 {
		t.Error("a consumer drove out a follower")
	}
	if cache.create(fullFetch(1), followers, later) != 0 {
		t.Error("a follower drove out one that is as large")
	}
	if cache.create(fullFetch(2), followers, later) == 0 || cache.find(second) != nil {
		t.Error("the smallest follower must make room for a larger one")
	}
	for epoch, want := range map[int32]kafka.ErrorCode{1: kafka.FetchSessionIDNotFound, sessionless: kafka.None} {
		if _, code := cache.resolve(&fetchCall{id: first, epoch: epoch}, consumers, later); code != want || cache.find(first) == nil {
			t.Errorf("a consumer used or ended the session of a follower: %v", code)
		}
	}
}

// A full cache gives a place to a new session only for one that rested two minutes, or for a smaller one that has had its two minutes.
func TestFetchSessionCacheEvictsAsKafka(t *testing.T) {
	start := time.Unix(1000, 0)
	cache := newSessionCache(2)
	small := cache.create(fullFetch(1), consumers, start)
	large := cache.create(fullFetch(5), consumers, start)
	if small == 0 || large == 0 {
		t.Fatal("there was room")
	}
	if id := cache.create(fullFetch(9), consumers, start.Add(time.Minute)); id != 0 {
		t.Error("a session was evicted in its first two minutes")
	}
	later := start.Add(sessionRest + time.Second)
	cache.touch(small, 1, later)
	cache.touch(large, 5, later)
	if id := cache.create(fullFetch(1), consumers, later); id != 0 {
		t.Error("a session was evicted for one that is no larger")
	}
	next := cache.create(fullFetch(2), consumers, later)
	if next == 0 || cache.find(small) != nil || cache.find(large) == nil {
		t.Error("the smallest must make room for a larger one")
	}
	last := cache.create(fullFetch(1), consumers, later.Add(sessionRest+time.Second))
	if last == 0 {
		t.Error("who rested must make room")
	}
	if st := cache.stats(); st.Sessions != 2 || st.Evicted != 2 {
		t.Errorf("%+v", st)
	}
	if newSessionCache(-1).create(fullFetch(1), consumers, start) != 0 {
		t.Error("no sessions were wanted")
	}
	crowded := newSessionCache(10)
	crowded.partitions = maxSessionPartitions - 3
	if crowded.create(fullFetch(4), consumers, start) != 0 || crowded.create(fullFetch(3), consumers, start) == 0 {
		t.Error("all sessions together may have so many partitions and no more")
	}
}

// A partition that gave records is served last the next time, so that a busy one does not starve the others.
func TestFetchSessionTakesTurns(t *testing.T) {
	cache := newSessionCache(1)
	now := time.Unix(0, 0)
	id := cache.create(fullFetch(3), consumers, now)
	order := func(epoch int32, withData int) (got []int32) {
		f := &fetchCall{id: id, epoch: epoch}
		s, code := cache.resolve(f, consumers, now)
		if code != kafka.None {
			t.Fatal(code)
		}
		f.results = make([]broker.FetchResult, 3)
		f.results[withData].Records = &fakeExtent{b: []byte("x")}
		s.choose(f)
		for i := range f.req.Partitions {
			got = append(got, f.req.Partitions[i].Partition)
		}
		return got
	}
	order(1, 0)
	if got := order(2, 1); got[0] != 1 || got[1] != 2 || got[2] != 0 {
		t.Errorf("%v", got)
	}
	if got := order(3, 0); got[0] != 1 || got[1] != 0 || got[2] != 2 {
		t.Errorf("%v", got)
	}
}
