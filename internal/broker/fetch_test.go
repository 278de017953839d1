package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

func (w *world) fill(topic string, i int32, batches, size int) {
	w.Helper()
	for range batches {
		if r := w.produce(1, ProducePartition{Topic: topic, Partition: i, Records: plainBatch(1, size)}); r[0].Err != nil {
			w.Fatal(r[0].Err)
		}
	}
}

// BRK-1: each partition of a request has its own answer, and a failure of one is told at once, with the data of the others.
func TestFetchAnswersEachPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("a", 1, 2)
		elsewhere := metadata.Partition{Replicas: []kafka.BrokerID{2}, ISR: []kafka.BrokerID{2}, Leader: 2, LeaderEpoch: 9}
		w.fold(&metadata.TopicRecord{Name: "b", ID: kafka.UUID{2}, Partitions: []metadata.PartitionRun{{Count: 1, Partition: elsewhere}}})
		w.fill("a", 0, 2, 100)
		byID := from("", 0, 0)
		byID.TopicID = kafka.UUID{1}
		unknown := from("", 0, 0)
		unknown.TopicID = kafka.UUID{99}
		fenced := from("a", 0, 0)
		fenced.LeaderEpoch = 7
		begin := time.Now()
		r := w.fetch(fetchRequest(time.Minute, 1<<20, from("a", 0, 1), byID, unknown, from("b", 0, 0), from("a", 0, 3), from("a", 2, 0), fenced, from("a", 1, 0)))
		for i, code := range []kafka.ErrorCode{kafka.None, kafka.None, kafka.UnknownTopicID, kafka.NotLeaderOrFollower, kafka.OffsetOutOfRange, kafka.UnknownTopicOrPartition, kafka.UnknownLeaderEpoch, kafka.None} {
			wantCode(t, r[i].Err, code)
		}
		if r[3].Leader != 2 || r[3].LeaderEpoch != 9 || r[0].Leader != kafka.NoBroker || r[0].PreferredRead != kafka.NoBroker {
			t.Errorf("%+v\n%+v", r[3], r[0])
		}
		if got(r[0]) == 0 || got(r[1]) != 2*got(r[0]) || r[1].HighWatermark != 2 || r[1].LastStable != 2 || r[1].LogStart != 0 || got(r[7]) != 0 {
			t.Errorf("%d, %d bytes, %+v", got(r[0]), got(r[1]), r[1])
		}
		if time.Since(begin) > rolePatience { // for the epoch that is not known here
			t.Error("waited although something failed")
		}
		if n := w.replicas.Counts().Total.BytesOut.Load(); n != int64(got(r[0])+got(r[1])) {
			t.Errorf("%d bytes out counted", n)
		}
	})
}

// The whole answer stays within MaxBytes, each partition within its own, and the first with data gives a batch all the same.
func TestFetchKeepsWithinItsBytes(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 3)
	one := len(plainBatch(1, 100))
	for i := range int32(3) {
		w.fill("a", i, 4, 100)
	}
	for _, c := range []struct {
		name                string
		all, each           int
		first, second, last int // batches
	}{
		{"room for all", 1 << 20, 1 << 20, 4, 4, 4},
		{"each partition's own limit", 1 << 20, 2 * one, 2, 2, 2},
		{"the answer's limit", 6 * one, 1 << 20, 4, 2, 0},
		{"the answer's limit, within a batch", 4*one + one/2, 1 << 20, 4, 0, 0},
		{"too small for one batch", 1, 1 << 20, 1, 0, 0},
		{"nothing asked", 0, 0, 1, 0, 0},
	} {
		req := fetchRequest(0, 1, from("a", 0, 0), from("a", 1, 0), from("a", 2, 0))
		req.MaxBytes = c.all
		for i := range req.Partitions {
			req.Partitions[i].MaxBytes = c.each
		}
		r := w.fetch(req)
		if got(r[0]) != c.first*one || got(r[1]) != c.second*one || got(r[2]) != c.last*one {
			t.Errorf("%s: %d, %d, %d bytes of batches of %d", c.name, got(r[0]), got(r[1]), got(r[2]), one)
		}
	}
	w.opts.FetchMaxBytes = 4 * one // fetch.max.bytes
	if r := w.fetch(fetchRequest(0, 1, from("a", 0, 0), from("a", 1, 0))); got(r[0]) != 4*one || got(r[1]) != 0 {
		t.Error("larger than fetch.max.bytes")
	}
}

// A long poll is answered when MinBytes are there, from any of its partitions, or when its time is up, or when the client goes.
func TestFetchWaitsForData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.engine.Hold = true
		w.topic("a", 1, 2)
		one := len(plainBatch(1, 100))
		begin := time.Now()
		answered := make(chan []FetchResult, 1)
		ctx, cancel := context.WithCancel(context.Background())
		ask := func(minBytes int, at ...FetchPartition) {
			await := w.Fetch(anybody, fetchRequest(500*time.Millisecond, minBytes, at...))
			go func() { answered <- await.Wait(ctx) }()
			synctest.Wait()
		}
		write := func(i int32, durable kafka.Offset) {
			w.produce(0, ProducePartition{Topic: "a", Partition: i, Records: plainBatch(1, 100)})
			w.log("a", i).Settle(durable)
			synctest.Wait()
		}
		answer := func() (a, b int) {
			t.Helper()
			r := <-answered
			return got(r[0]), got(r[1])
		}
		both := []FetchPartition{from("a", 0, 0), from("a", 1, 0)}

		ask(1, both...)
		w.produce(0, ProducePartition{Topic: "a", Partition: 1, Records: plainBatch(1, 100)})
		synctest.Wait()
		if len(answered) > 0 {
			t.Fatal("answered with what is not durable")
		}
		w.log("a", 1).Settle(1)
		if a, b := answer(); a != 0 || b != one || time.Since(begin) != 0 {
			t.Errorf("%d, %d bytes after %v", a, b, time.Since(begin))
		}

		ask(3*one, both...)
		write(0, 1)
		if len(answered) > 0 {
			t.Error("answered with too little")
		}
		write(0, 2)
		if a, b := answer(); a != 2*one || b != one || time.Since(begin) != 0 {
			t.Errorf("%d, %d bytes after %v", a, b, time.Since(begin))
		}

		ask(100*one, both...)
		write(1, 2)
		if a, b := answer(); a != 2*one || b != 2*one || time.Since(begin) != 500*time.Millisecond {
			t.Errorf("time is up: %d, %d bytes after %v", a, b, time.Since(begin))
		}

		ask(1, from("a", 0, 2), from("a", 1, 2))
		w.fold(&metadata.RemoveTopicRecord{ID: kafka.UUID{1}})
		r := <-answered
		wantCode(t, r[0].Err, kafka.UnknownTopicOrPartition)
		w.topic("a", 2, 2)
		begin = time.Now()
		ask(1, both...)
		cancel()
		if a, b := answer(); a != 0 || b != 0 || time.Since(begin) != 0 {
			t.Errorf("the client has gone: %d, %d bytes after %v", a, b, time.Since(begin))
		}
	})
}

// Nobody waits longer than a minute, and not at all without partitions or for no bytes.
func TestFetchWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.topic("a", 1, 1)
		begin := time.Now()
		w.fetch(fetchRequest(time.Hour, 1))
		w.fetch(fetchRequest(time.Hour, 0, from("a", 0, 0)))
		if time.Since(begin) != 0 {
			t.Error("waited for nothing")
		}
		w.fetch(fetchRequest(24*time.Hour, 1, from("a", 0, 0)))
		if took := time.Since(begin); took != maxFetchWait {
			t.Errorf("waited for %v", took)
		}
	})
}

// REP-4: whoever claims to be a broker reads nothing, least of all beyond the high watermark.
func TestFetchOfAFollowerIsRefused(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	w.fill("a", 0, 1, 1)
	req := fetchRequest(0, 1, from("a", 0, 0))
	req.ReplicaID = 5
	r := w.fetch(req)
	wantCode(t, r[0].Err, kafka.NotLeaderOrFollower)
	if got(r[0]) != 0 {
		t.Error("records for a follower")
	}
	l := w.ListOffsets(context.Background(), anybody, 5, ReadUncommitted, []ListOffsetsPartition{{Topic: "a", Timestamp: -1, LeaderEpoch: kafka.NoEpoch}})
	wantCode(t, l[0].Err, kafka.NotLeaderOrFollower)
	e := w.OffsetForLeaderEpoch(anybody, 5, []EpochQuery{{Topic: "a", CurrentEpoch: kafka.NoEpoch}})
	wantCode(t, e[0].Err, kafka.NotLeaderOrFollower)
}

// Many clients produce and fetch at once; every consumer sees every record once, in order. (-race)
func TestProduceAndFetchTogether(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 2)
	const producers, each = 4, 100
	done := make(chan error, 100)
	for p := range producers {
		go func() {
			for range each {
				r := w.produce(-1, ProducePartition{Topic: "a", Partition: int32(p % 2), Records: plainBatch(1, 10)})
				if r[0].Err != nil {
					done <- r[0].Err
					return
				}
			}
			done <- nil
		}()
	}
	for range 3 {
		go func() {
			next := []kafka.Offset{0, 0}
			for next[0]+next[1] < producers*each {
				for i, r := range w.fetch(fetchRequest(10*time.Second, 1, from("a", 0, next[0]), from("a", 1, next[1]))) {
					if r.Err != nil {
						done <- r.Err
						return
					}
					if r.Records == nil {
						continue
					}
					all, _ := r.Records.Bytes()
					for h := range all.All() {
						if h.BaseOffset != next[i] {
							t.Errorf("read %d, want %d", h.BaseOffset, next[i])
						}
						next[i] = h.NextOffset()
					}
					r.Records.Release()
				}
			}
			done <- nil
		}()
	}
	for range producers + 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
