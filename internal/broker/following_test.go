package broker

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// sessionOf is a follower's session of all partitions of topic a, from their beginning.
func (w *world) sessionOf(partitions int32) *Following {
	w.fold(&metadata.TopicRecord{Name: "a", ID: kafka.UUID{1}, Partitions: []metadata.PartitionRun{{
		Count: partitions, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1, 2, 3}, ISR: []kafka.BrokerID{1, 2}, Leader: 1},
	}}})
	s := NewFollowing()
	for i := range partitions {
		s.Put(at(i, 0))
	}
	return s
}

func at(i int32, offset kafka.Offset) FetchPartition {
	p := from("a", i, offset)
	p.LeaderEpoch = 0
	return p
}

// news fetches with a session; the results are of the partitions that are returned beside them.
func (w *world) news(s *Following, wait time.Duration, maxBytes int) ([]FetchPartition, []FetchResult) {
	req := follow(2, wait)
	req.Following, req.MaxBytes = s, maxBytes
	results := w.Fetch(aPeer, req).Wait(context.Background())
	if len(results) != len(req.Partitions) {
		w.Fatalf("%d results of %d partitions", len(results), len(req.Partitions))
	}
	return req.Partitions, results
}

// A session's fetch answers what is new as soon as it is there, and only that; an offset that is told along with records may wait a moment.
func TestASessionIsToldNewsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cluster()
		s := w.sessionOf(3 * sweepLeast)
		if _, first := w.news(s, 0, 1<<20); len(first) != 3*sweepLeast {
			t.Fatalf("%d partitions were told at first", len(first))
		}
		begin := time.Now()
		time.AfterFunc(40*time.Millisecond, func() { w.fill("a", 150, 1, 10) })
		parts, got := w.news(s, 400*time.Millisecond, 1<<20)
		if len(got) != 1 || parts[0].Partition != 150 || got[0].Records == nil || time.Since(begin) != 40*time.Millisecond {
			t.Fatalf("%+v of %+v after %v", got, parts, time.Since(begin))
		}
		releaseRecords(got)
		if parts, got := w.news(s, time.Second, 1<<20); len(got) != 1 || parts[0].Partition != 150 || got[0].Records == nil {
			t.Fatalf("it has not said that it has them: %+v of %+v", got, parts)
		} else {
			releaseRecords(got)
		}
		begin = time.Now()
		s.Put(at(150, 1))
		if parts, got := w.news(s, time.Second, 1<<20); len(got) != 1 || parts[0].Partition != 150 || got[0].HighWatermark != 1 || time.Since(begin) != firstLook {
			t.Fatalf("the high watermark: %+v of %+v after %v", got, parts, time.Since(begin))
		}
		begin = time.Now()
		if parts, got := w.news(s, 300*time.Millisecond, 1<<20); len(got) != 0 || time.Since(begin) != 300*time.Millisecond {
			t.Fatalf("nothing is new: %+v of %+v after %v", got, parts, time.Since(begin))
		}
		if w.followers.held != 0 {
			t.Errorf("%d bytes are held", w.followers.held)
		}
	})
}

// What a session was told equals what there is, after any order of appends, partial answers, removals and changes of the leader; and every partition is
// looked at in time although nothing happens in it.
func TestASessionMissesNothing(t *testing.T) {
	base := seed.Of(t)
	for run := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(base, run))
			w := newWorld(t)
			w.cluster()
			const partitions = 150
			s := w.sessionOf(partitions)
			type view struct {
				end, hw kafka.Offset
				removed bool
			}
			seen, epoch := make([]view, partitions), kafka.LeaderEpoch(0)
			put := func(i int32) {
				p := at(i, seen[i].end)
				p.LeaderEpoch, seen[i].removed = epoch, false
				s.Put(p)
			}
			fetch := func(maxBytes int) {
				parts, results := w.news(s, 0, maxBytes)
				for k, r := range results {
					i := parts[k].Partition
					if r.Err != nil {
						continue
					}
					seen[i].hw = r.HighWatermark
					if r.Records != nil {
						b, err := r.Records.Bytes()
						if err != nil {
							t.Fatal(err)
						}
						for h := range b.All() {
							seen[i].end = h.NextOffset()
						}
						put(i)
					}
				}
				releaseRecords(results)
			}
			for step := range 300 {
				switch n := rng.IntN(100); {
				case n < 60:
					w.fill("a", rng.Int32N(partitions), 1+rng.IntN(3), 10)
				case n < 80:
					fetch(1 + rng.IntN(2000))
				case n < 85:
					i := rng.Int32N(partitions)
					s.Remove("a", kafka.UUID{}, i)
					seen[i].removed = true
				case n < 90:
					put(rng.Int32N(partitions))
				case n < 92:
					epoch++
					w.fold(leads(2, partitions, epoch)...)
					fetch(1 << 20)
					epoch++
					w.fold(leads(1, partitions, epoch)...)
					for i := range int32(partitions) {
						if !seen[i].removed {
							put(i)
						}
					}
				default:
					time.Sleep(time.Duration(rng.IntN(50)) * time.Millisecond)
				}
				if step%20 != 0 {
					continue
				}
				fetch(1 << 20)
				fetch(1 << 20) // by which it says that it has what the first one gave
				topic, err := w.replicas.ByName("a")
				if err != nil {
					t.Fatal(err)
				}
				for i := range int32(partitions) {
					p, err := topic.Partition(i)
					if err != nil {
						t.Fatal(err)
					}
					if v := seen[i]; !v.removed && (v.hw != p.HighWatermark() || v.end != p.HighWatermark()) {
						t.Fatalf("step %d, partition %d: it was told %+v, there is %d", step, i, v, p.HighWatermark())
					}
				}
			}
			s.Close()
			if s.Len() != 0 || len(s.Asked()) != 0 || w.followers.held != 0 {
				t.Errorf("%d partitions and %d bytes are left", s.Len(), w.followers.held)
			}
		})
	}
}

// leads has a broker lead all of topic a.
func leads(id kafka.BrokerID, partitions int32, epoch kafka.LeaderEpoch) (records []metadata.Record) {
	for i := range partitions {
		records = append(records, &metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, Partition: i, State: metadata.Partition{
			Replicas: []kafka.BrokerID{1, 2, 3}, ISR: []kafka.BrokerID{1, 2}, Leader: id, LeaderEpoch: epoch, PartitionEpoch: int32(epoch),
		}})
	}
	return records
}

// REP-4: who is no follower is told so for every partition, each time.
func TestASessionOfNoFollowerIsRefused(t *testing.T) {
	w := newWorld(t)
	w.cluster()
	s := w.sessionOf(3)
	w.fold(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 2, Fenced: true}})
	for range 2 {
		_, results := w.news(s, time.Hour, 1<<20)
		if len(results) != 3 {
			t.Fatalf("%+v", results)
		}
		for _, r := range results {
			wantCode(t, r.Err, kafka.NotLeaderOrFollower)
		}
	}
}

// A fetch of a session that has no news costs the same however many partitions there are.
func BenchmarkASessionWithoutNews(b *testing.B) {
	for _, n := range []int32{100, 10_000} {
		b.Run(kafka.TopicPartition{Topic: "partitions", Partition: n}.String(), func(b *testing.B) {
			w := newWorld(b)
			w.cluster()
			s := w.sessionOf(n)
			w.news(s, 0, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				w.news(s, 0, 1<<20)
			}
		})
	}
}

// A high watermark that rises while a follower waits for records wakes nobody at first: it is told firstLook after the fetch began, or after it rose.
func TestARisenWatermarkIsToldInTime(t *testing.T) {
	for rises, told := range map[time.Duration]time.Duration{3 * time.Millisecond: firstLook, 50 * time.Millisecond: 50*time.Millisecond + firstLook} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.cluster()
			w.replicated("a", 1, 1, 2, 3)
			s := NewFollowing()
			w.fill("a", 0, 1, 10)
			s.Put(at(0, 1))
			if _, got := w.news(s, 0, 1<<20); len(got) != 1 || got[0].HighWatermark != 0 {
				t.Fatalf("%+v", got)
			}
			begin := time.Now()
			time.AfterFunc(rises, func() {
				other := follow(3, 0, from("a", 0, 1))
				releaseRecords(w.Fetch(aPeer, other).Wait(context.Background()))
			})
			if _, got := w.news(s, time.Second, 1<<20); len(got) != 1 || got[0].HighWatermark != 1 || time.Since(begin) != told {
				t.Errorf("%+v after %v, want it after %v", got, time.Since(begin), told)
			}
		})
	}
}
