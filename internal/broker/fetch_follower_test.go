package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// aPeer is a session of another broker.
var aPeer = &Session{Door: "kafka", Peer: true}

// cluster makes brokers 1 (this one) to 3, each with its id as epoch.
func (w *world) cluster() {
	w.Helper()
	for id := range kafka.BrokerID(3) {
		w.fold(&metadata.BrokerRecord{Broker: metadata.Broker{ID: id + 1, Epoch: int64(id + 1), Rack: string(rune('a' + id))}})
	}
}

// replicated makes a topic of one partition that this broker leads and that brokers 2 and 3 follow.
func (w *world) replicated(name string, id byte, isr ...kafka.BrokerID) {
	w.Helper()
	p := metadata.Partition{Replicas: []kafka.BrokerID{1, 2, 3}, ISR: isr, Leader: 1}
	w.fold(&metadata.TopicRecord{Name: name, ID: kafka.UUID{id}, Partitions: []metadata.PartitionRun{{Count: 1, Partition: p}}})
}

// follow is a fetch of a follower.
func follow(by kafka.BrokerID, wait time.Duration, at ...FetchPartition) *FetchRequest {
	req := fetchRequest(wait, 1, at...)
	req.ReplicaID, req.ReplicaEpoch = by, int64(by)
	for i := range req.Partitions {
		req.Partitions[i].KnownHW, req.Partitions[i].LeaderEpoch = kafka.NoOffset, 0
	}
	return req
}

func (w *world) followed(req *FetchRequest) FetchResult {
	return w.Fetch(aPeer, req).Wait(context.Background())[0]
}

// REP-4: only a broker that is alive, in the registration it names and on a peer connection, may say that it is a replica; the others read nothing
// and the leader learns nothing of them.
func TestOnlyLiveBrokersFollow(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	w.replicated("a", 1, 1, 2)
	w.fold(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 3, Epoch: 3, Fenced: true}})
	w.fill("a", 0, 2, 10)
	for _, c := range []struct {
		name    string
		session *Session
		by      kafka.BrokerID
		epoch   int64
		ok      bool
	}{
		{"a client that poses as a broker", anybody, 2, 2, false},
		{"nobody", nil, 2, 2, false},
		{"a broker that is not registered", aPeer, 4, 4, false},
		{"an older registration", aPeer, 2, 1, false},
		{"a registration not known here yet", aPeer, 2, 5, false},
		{"a fenced broker", aPeer, 3, 3, false},
		{"a live broker", aPeer, 2, 2, true},
		{"a live broker that does not say its epoch", aPeer, 2, -1, true},
	} {
		req := follow(c.by, 0, from("a", 0, 0))
		req.ReplicaEpoch = c.epoch
		r := w.Fetch(c.session, req).Wait(t.Context())[0]
		code := kafka.NotLeaderOrFollower
		if c.ok {
			code = kafka.None
		}
		if kafka.CodeOf(r.Err) != code || (got(r) > 0) != c.ok || r.Leader != kafka.NoBroker {
			t.Errorf("%s: %+v", c.name, r)
		}
		releaseRecords([]FetchResult{r})
		if c.epoch != int64(c.by) {
			continue
		}
		l := w.ListOffsets(t.Context(), c.session, c.by, ReadUncommitted, []ListOffsetsPartition{{Topic: "a", Timestamp: -1}})
		wantCode(t, l[0].Err, code)
		if c.ok && l[0].Offset != 2 {
			t.Errorf("the latest offset of a follower is the log end, not %d", l[0].Offset)
		}
		e := w.OffsetForLeaderEpoch(c.session, c.by, []EpochQuery{{Topic: "a", CurrentEpoch: kafka.NoEpoch}})
		wantCode(t, e[0].Err, code)
	}
}

// A follower is given records before they are committed, and before they are durable here, and is woken by them; by its next fetch they are.
func TestFollowersFetchUpToTheLogEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.engine.Hold = true
		w.cluster()
		w.replicated("a", 1, 1, 2)
		begin := time.Now()
		await := w.Fetch(aPeer, follow(2, time.Second, from("a", 0, 0)))
		answered := make(chan FetchResult, 1)
		go func() { answered <- await.Wait(context.Background())[0] }()
		synctest.Wait()
		produced := w.Produce(anybody, produceRequest(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 10)}))
		acked := make(chan ProduceResult, 1)
		go func() { acked <- produced.Wait(context.Background())[0] }()
		r := <-answered
		if r.Err != nil || got(r) == 0 || r.HighWatermark != 0 || time.Since(begin) != 0 {
			t.Fatalf("%+v after %v", r, time.Since(begin))
		}
		r.Records.Release()
		if c := w.fetch(fetchRequest(0, 1, from("a", 0, 0)))[0]; got(c) != 0 {
			t.Error("a consumer was given what is not committed")
		}
		w.log("a", 0).Settle(1)
		synctest.Wait()
		if len(acked) > 0 {
			t.Error("acks=all although no follower has it")
		}
		if r := w.followed(follow(2, 0, from("a", 0, 1))); r.Err != nil || r.HighWatermark != 1 || got(r) != 0 {
			t.Errorf("%+v", r)
		}
		if p := <-acked; p.Err != nil || time.Since(begin) != 0 {
			t.Errorf("%+v after %v", p, time.Since(begin))
		}
	})
}

// A high watermark that rises while a follower waits for records is told soon, and looked for less and less often.
func TestFollowersLearnTheHighWatermarkSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		w.replicated("a", 1, 1, 2, 3)
		w.fill("a", 0, 1, 10)
		begin := time.Now()
		wait := func(known kafka.Offset, offset kafka.Offset) (hw kafka.Offset, took time.Duration) {
			req := follow(2, 500*time.Millisecond, from("a", 0, offset))
			req.Partitions[0].KnownHW = known
			r := w.followed(req)
			took, begin = time.Since(begin), time.Now()
			return r.HighWatermark, took
		}
		if hw, took := wait(0, 1); hw != 0 || took != 500*time.Millisecond {
			t.Errorf("broker 3 has nothing: %d after %v", hw, took)
		}
		time.AfterFunc(15*time.Millisecond, func() { w.followed(follow(3, 0, from("a", 0, 1))) })
		if hw, took := wait(0, 1); hw != 1 || took != 30*time.Millisecond {
			t.Errorf("%d after %v", hw, took)
		}
		if hw, took := wait(0, 1); hw != 1 || took != firstLook {
			t.Errorf("%d after %v", hw, took)
		}
		if hw, took := wait(1, 1); hw != 1 || took != 500*time.Millisecond {
			t.Errorf("it knows all there is to know: %d after %v", hw, took)
		}
		if hw, took := wait(kafka.NoOffset, 1); hw != 1 || took != 500*time.Millisecond {
			t.Errorf("a fetch without a session: %d after %v", hw, took)
		}
	})
}

// BRK-4: consumers that do not read take nothing from what followers may hold.
func TestFollowersHaveRoomOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	w.replicated("a", 1, 1)
	w.fill("a", 0, 4, 1000)
	w.room.limit, w.followers.limit = 1000, 1000
	held := w.fetch(fetchRequest(0, 1, from("a", 0, 0)))
	if r := w.fetch(fetchRequest(0, 1, from("a", 0, 0))); got(r[0]) != 0 || !w.FetchCrowded() {
		t.Fatal("consumers have room left")
	}
	f := w.followed(follow(2, 0, from("a", 0, 0)))
	if got(f) == 0 {
		t.Error("a follower found no room")
	}
	releaseRecords(held)
	if w.FetchCrowded() || w.followers.held == 0 {
		t.Error("what followers hold counts among consumers")
	}
	releaseRecords([]FetchResult{f})
	if w.followers.held != 0 {
		t.Errorf("%d bytes are held", w.followers.held)
	}
	if n := w.replicas.Counts().Total.FetchRequests.Load(); n != 2 {
		t.Errorf("%d fetches of consumers were counted", n)
	}
}

// A follower's fetch is the hot path of replication: it allocates no more than a consumer's.
func TestFollowersFetchAsCheaplyAsConsumers(t *testing.T) {
	if testing.Short() {
		t.Skip("counts allocations; the race detector, which runs the short tests, empties pools")
	}
	w := newWorld(t)
	w.cluster()
	w.replicated("a", 1, 1)
	w.fill("a", 0, 10, 100)
	measure := func(s *Session, req *FetchRequest) float64 {
		return testing.AllocsPerRun(100, func() {
			r := w.Fetch(s, req).Wait(context.Background())
			if got(r[0]) == 0 {
				t.Fatal(r[0].Err)
			}
			releaseRecords(r)
		})
	}
	following := follow(2, 0, from("a", 0, 5))
	following.Partitions[0].LastFetchedEpoch = 0 // of what it has; who has nothing is to begin with the log
	consumer, follower := measure(anybody, fetchRequest(0, 1, from("a", 0, 5))), measure(aPeer, following)
	if follower > consumer {
		t.Errorf("%v allocations, a consumer has %v", follower, consumer)
	}
}
