package partition

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
	"github.com/rafka-io/rafka/internal/storage/memlog"
)

// compacted is a compacted partition over the in-memory engine.
func compacted(engine storage.Engine) *Partition {
	s := &Settings{
		MinISR: 1, Compact: true, ProducerExpiry: time.Hour, Log: storage.Config{SegmentBytes: 2000},
		Compaction: compact.Policy{MinDirtyRatio: 0.01, DeleteRetention: time.Hour, SegmentBytes: 2000},
	}
	s.Rules.RequireKeys = true
	id := storage.ID{TopicPartition: kafka.TopicPartition{Topic: "c"}, TopicID: kafka.UUID{1}}
	p := New(id, &Host{Engine: engine, Logger: slog.New(slog.DiscardHandler), Now: time.Now}, s, &Stats{})
	p.SetRole(Role{IsLeader: true, ISR: alone})
	return p
}

func openMemory(t testing.TB) storage.Engine {
	e, err := memlog.Open(memlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func keyed(t testing.TB, pid kafka.ProducerID, seq kafka.Sequence, key, value string) record.Batches {
	o := record.PlainOptions()
	if pid >= 0 {
		o.ProducerID, o.ProducerEpoch, o.BaseSequence = pid, 0, seq
	}
	b, err := record.Build(nil, o, []record.Record{{Key: []byte(key), Value: []byte(value), Timestamp: 1_700_000_000_000}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// contents reads the latest value of each key.
func contents(t testing.TB, p *Partition) (latest map[string]string, records int) {
	latest = map[string]string{}
	for at := p.LogStart(); ; {
		r, err := p.Read(ReadRequest{From: at, MaxBytes: 1 << 20, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
		if err != nil {
			t.Fatal(err)
		}
		if r.Records == nil {
			return latest, records
		}
		all, _ := r.Records.Bytes()
		for h, raw := range all.All() {
			for rec, err := range record.Records(raw, 0) {
				if err != nil {
					t.Fatal(err)
				}
				latest[string(rec.Key)] = string(rec.Value)
				records++
			}
			at = h.NextOffset()
		}
		r.Records.Release()
	}
}

// CMP-2, CMP-3 through the partition: what is compacted keeps the latest of each key while it is appended to and read; what was done is
// remembered over a restart; and repeats of batches that went are still known (PAR-7).
func TestCompactionKeepsTheLatest(t *testing.T) {
	engine := openMemory(t)
	p := compacted(engine)
	want := map[string]string{}
	seq := kafka.Sequence(0)
	write := func(n int) {
		for range n {
			k, v := "k"+strconv.Itoa(int(seq)%7), strconv.Itoa(int(seq))
			if _, err := p.AppendAsLeader(Append{Records: keyed(t, 5, seq, k, v)}, time.Now()); err != nil {
				t.Fatal(err)
			}
			want[k] = v
			seq++
		}
	}
	write(300)
	var writer sync.WaitGroup
	writer.Go(func() { write(300) })
	result, did, err := p.Compact(context.Background(), time.Now())
	if err != nil || !did || result.FirstDirty == 0 {
		t.Fatalf("%+v, %v, %v", result, did, err)
	}
	writer.Wait()
	if _, _, err := p.Compact(context.Background(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, n := contents(t, p); len(got) != 7 || n > 200 || !equalMaps(got, want) {
		t.Errorf("%d records %v, want %v", n, got, want)
	}
	firstDirty := p.cleaning.firstDirty
	if err := p.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	p = compacted(engine)
	if work, due, err := p.PlanCompaction(time.Now()); err != nil || due || work.Dirty != firstDirty {
		t.Errorf("after a restart %+v, %v, %v; compacted up to %d before", work, due, err, firstDirty)
	}
	for back := range kafka.Sequence(6) {
		again := seq - 1 - back
		done, err := p.AppendAsLeader(Append{Records: keyed(t, 5, again, "k"+strconv.Itoa(int(again)%7), strconv.Itoa(int(again)))}, time.Now())
		if back < 5 && (err != nil || done.Base != kafka.Offset(again)) {
			t.Errorf("the repeat of sequence %d: %+v, %v", again, done, err)
		}
		if back == 5 {
			wantCode(t, err, kafka.OutOfOrderSequenceNumber)
		}
	}
}

func equalMaps(a, b map[string]string) bool {
	flat := func(m map[string]string) (all []string) {
		for k, v := range m {
			all = append(all, k+"="+v)
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(flat(a), flat(b))
}

func TestCompactionIsForWhoAsksAndEndsWhenTold(t *testing.T) {
	p := compacted(openMemory(t))
	for i := range 100 {
		if _, err := p.AppendAsLeader(Append{Records: keyed(t, -1, 0, "k", strconv.Itoa(i))}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := p.Compact(ctx, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("compaction went on: %v", err)
	}
	s := *p.Settings()
	s.Compact = false
	p.Configure(&s)
	if _, did, err := p.Compact(context.Background(), time.Now()); did || err != nil {
		t.Errorf("a topic that is not compacted: %v, %v", did, err)
	}
	_, err := p.AppendAsLeader(Append{Records: plainBatch(1)}, time.Now())
	wantCode(t, err, kafka.InvalidRecord)
	s.Compact = true
	p.Configure(&s)
	if err := p.Delete(); err != nil {
		t.Fatal(err)
	}
	if _, did, err := p.Compact(context.Background(), time.Now()); did || err != nil {
		t.Errorf("a deleted partition: %v, %v", did, err)
	}
}
