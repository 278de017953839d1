package partition

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// restart closes the partition, or lets it crash, and begins anew over the same logs.
func (b *bench) restart(crash bool) {
	b.Helper()
	if crash {
		b.engine.Log(b.id).Crash()
	} else if err := b.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.start()
}

// known is what the partition remembers of producers, without when.
func (b *bench) known() map[kafka.ProducerID]producer {
	b.log()
	all := plain(b.producers)
	for id, p := range all {
		p.touched = 0
		all[id] = p
	}
	return all
}

// folded is what an empty memory learns from the batches that were appended, each after the other.
func folded(batches []record.Header) map[kafka.ProducerID]producer {
	t := newProducers()
	for i := range batches {
		if batches[i].ProducerID >= 0 {
			t.add(&batches[i], batches[i].BaseOffset, 0)
		}
	}
	return plain(t)
}

// PAR-7: whatever comes in between (clean stops, crashes that lose what was not durable, snapshots, trims, damaged sidecars), what is
// known of producers is the fold of all that was ever appended and not lost.
func TestProducersSurviveRestarts(t *testing.T) {
	dice := seeded(t)
	for range 60 {
		b := newBench(t)
		b.engine.Hold = true
		epoch := kafka.LeaderEpoch(5)
		var appended []record.Header
		next := map[kafka.ProducerID]kafka.Sequence{}
		ctx := context.Background()
		for range 60 {
			switch dice.IntN(12) {
			case 0:
				b.restart(false)
			case 1:
				if b.InUse() {
					lost := b.log().Bounds()
					b.restart(true)
					for n := len(appended); n > 0 && appended[n-1].BaseOffset >= lost.Durable; n-- {
						h := appended[n-1]
						appended = appended[:n-1]
						if h.ProducerID >= 0 {
							next[h.ProducerID] = h.BaseSequence
						}
					}
				}
			case 2:
				b.log()
				b.maintenance.Lock()
				err := b.checkpointLocked(ctx, 0)
				b.maintenance.Unlock()
				if err != nil {
					t.Fatal(err)
				}
			case 3:
				if hw := b.HighWatermark(); hw > 0 {
					if _, err := b.TrimTo(ctx, kafka.Offset(dice.Int64N(int64(hw)+1))); err != nil {
						t.Fatal(err)
					}
				}
			case 4:
				epoch++
			case 5:
				// Damage costs reading the whole log, and loses only what was trimmed from it.
				if l := b.log(); l.Bounds().Start == 0 && len(l.Blobs) == 2 {
					if dice.IntN(2) == 0 {
						l.Blobs[producersBlob] = nil
					} else {
						l.Blobs[epochsBlob] = []byte("nonsense")
					}
					b.restart(false)
					b.savedUpto = kafka.NoOffset
				}
			case 6, 7:
				l := b.log()
				if bounds := l.Bounds(); bounds.End > bounds.Durable {
					var ends []kafka.Offset
					for _, h := range appended {
						if h.NextOffset() > bounds.Durable {
							ends = append(ends, h.NextOffset())
						}
					}
					l.Settle(ends[dice.IntN(len(ends))])
				}
			}
			b.SetRole(Role{IsLeader: true, Epoch: epoch, ISR: alone})
			pid := kafka.ProducerID(dice.IntN(4)) - 1
			n := 1 + dice.IntN(3)
			raw := plainBatch(n)
			if pid >= 0 {
				raw = producerBatch(pid, 2, next[pid], n)
				next[pid] = next[pid].Add(int32(n))
			}
			b.append(raw)
			h, _ := record.ParseHeader(raw)
			appended = append(appended, h)
			if got, want := b.known(), folded(appended); !reflect.DeepEqual(got, want) {
				t.Fatalf("known %+v\nwant %+v", got, want)
			}
		}
		var leaders epochs
		for _, h := range appended {
			leaders = leaders.assign(h.LeaderEpoch, h.BaseOffset)
		}
		leaders = leaders.trim(b.LogStart())
		b.restart(false)
		b.log()
		if got := *b.epochs.Load(); !reflect.DeepEqual(got, leaders) {
			t.Fatalf("epochs %v, want %v", got, leaders)
		}
	}
}

// A snapshot of a log whose end was lost with the machine's memory says nothing about what is there now.
func TestSnapshotBeyondTheLogIsIgnored(t *testing.T) {
	b := newBench(t)
	b.append(producerBatch(1, 0, 0, 2))
	b.append(producerBatch(1, 0, 2, 2))
	b.maintenance.Lock()
	if err := b.checkpointLocked(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	b.maintenance.Unlock()
	b.engine.Log(b.id).SetDurable(2)
	b.restart(true)
	if base := b.append(producerBatch(1, 0, 2, 2)); base != 2 {
		t.Errorf("the lost batch, sent again, is answered with %d", base)
	}
}

// A clean stop costs a snapshot only if there is much to read again.
func TestCleanStopSavesLittleOfLittle(t *testing.T) {
	b := newBench(t)
	b.append(producerBatch(1, 0, 0, 2))
	b.restart(false)
	if n := b.engine.Log(b.id).Puts.Load(); n != 0 {
		t.Errorf("%d blobs written for one small batch", n)
	}
	for i := range 3 {
		o := record.PlainOptions()
		raw, err := record.Build(nil, o, []record.Record{{Value: make([]byte, closeCheckpointBytes/3), Offset: 0}})
		if err != nil {
			t.Fatal(err)
		}
		_ = i
		b.append(raw)
	}
	b.restart(false)
	l := b.engine.Log(b.id)
	if l.Puts.Load() != 2 {
		t.Errorf("%d blobs written, want producers and epochs", l.Puts.Load())
	}
	reads := l.Reads.Load()
	b.log()
	if l.Reads.Load() != reads {
		t.Error("the log was read although the snapshot covers it")
	}
}

// Retention removes whole old segments, the active one too when nothing comes in, and never one that is only compacted.
func TestRetainRollsAndTrims(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	s := *b.settings
	s.Log.SegmentAge, s.RetentionTime = time.Hour, 2*time.Hour
	b.Configure(&s)
	raw := func() record.Batches {
		return batch(record.PlainOptions(), 5, kafka.Timestamp(b.now.UnixMilli()))
	}
	b.append(raw())
	retain := func() (start kafka.Offset, segments int) {
		t.Helper()
		if err := b.Retain(ctx, b.now); err != nil {
			t.Fatal(err)
		}
		return b.LogStart(), len(b.log().Segments())
	}
	if start, n := retain(); start != 0 || n != 1 {
		t.Fatalf("at once: start %d, %d segments", start, n)
	}
	b.now = b.now.Add(61 * time.Minute)
	if start, n := retain(); start != 0 || n != 2 {
		t.Fatalf("an idle segment older than segment.ms: start %d, %d segments", start, n)
	}
	b.append(raw()) // 5-9
	b.now = b.now.Add(61 * time.Minute)
	if start, n := retain(); start != 5 || n != 2 {
		t.Fatalf("the first is older than retention.ms: start %d, %d segments", start, n)
	}
	b.now = b.now.Add(30 * time.Minute)
	b.append(raw()) // 10-14, young
	b.now = b.now.Add(2 * time.Hour)
	s.Delete, s.Compact = false, true
	b.Configure(&s)
	if start, _ := retain(); start != 5 {
		t.Fatalf("a compacted topic was aged: start %d", start)
	}
	s.Delete = true
	b.Configure(&s)
	b.now = b.now.Add(time.Minute)
	if start, _ := retain(); start != 15 {
		t.Fatalf("everything is old: start %d", start)
	}
	if base := b.append(raw()); base != 15 {
		t.Errorf("appended at %d after everything went", base)
	}
	s.Log.SegmentAge = 100 * 24 * time.Hour
	s.RetentionTime, s.RetentionBytes = -1, 1
	b.Configure(&s)
	if start, _ := retain(); start != 15 {
		t.Errorf("by size the last segment was removed: start %d", start)
	}
	s.RetentionBytes = 0
	b.Configure(&s)
	if start, _ := retain(); start != 20 {
		t.Errorf("retention.bytes=0 kept something: start %d", start)
	}
	b.SetRole(Role{Epoch: 9, Gone: errDeleted})
	if err := b.Retain(ctx, b.now); err != nil {
		t.Errorf("retention of a deleted partition: %v", err)
	}
}

// segment.ms acts at an append too, and jitter makes it act earlier, not at the same time for all.
func TestAppendRollsAnOldSegment(t *testing.T) {
	b := newBench(t)
	s := *b.settings
	s.Log.SegmentAge, s.SegmentJitter = time.Hour, time.Minute
	b.Configure(&s)
	b.append(plainBatch(1))
	b.now = b.now.Add(58 * time.Minute)
	b.append(plainBatch(1))
	if n := len(b.log().Segments()); n != 1 {
		t.Fatalf("%d segments before segment.ms", n)
	}
	b.now = b.now.Add(2 * time.Minute)
	b.append(plainBatch(1))
	if n := len(b.log().Segments()); n != 2 {
		t.Fatalf("%d segments after segment.ms", n)
	}
	other := New(storage.ID{TopicPartition: kafka.TopicPartition{Topic: "other"}}, b.host, &s, &Stats{})
	if a, o := b.segmentAge(&s), other.segmentAge(&s); a == o || a > time.Hour || a < 59*time.Minute {
		t.Errorf("ages %v and %v", a, o)
	}
}

func TestProducersExpire(t *testing.T) {
	b := newBench(t)
	b.append(producerBatch(1, 3, 0, 1))
	b.now = b.now.Add(30 * time.Minute)
	b.append(producerBatch(2, 0, 0, 1))
	b.now = b.now.Add(31 * time.Minute)
	if n := b.ExpireProducers(kafka.Timestamp(b.now.UnixMilli())); n != 1 {
		t.Errorf("%d expired", n)
	}
	b.append(producerBatch(1, 0, 77, 1)) // any epoch, any sequence
	states, err := b.Producers()
	if err != nil || len(states) != 2 || states[1].ID != 1 || states[1].LastSequence != 77 {
		t.Errorf("%+v, %v", states, err)
	}
}
