package replica

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
	"github.com/rafka-io/rafka/internal/storage/memlog"
)

// Compacted topics are compacted by themselves, the dirtiest first, and others are left alone.
func TestCleanerCompactsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, err := memlog.Open(memlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(Options{
			NodeID: 1, Engine: engine, Logger: slog.New(slog.DiscardHandler), CleanerBackoff: func(*metadata.Image) time.Duration { return 10 * time.Second },
			Settings: func(_ *metadata.Image, topic string) *partition.Settings {
				return &partition.Settings{
					MinISR: 1, Compact: topic != "plain", Delete: topic == "plain", RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour,
					Log: storage.Config{SegmentBytes: 1000}, Compaction: compact.Policy{MinDirtyRatio: 0.5, SegmentBytes: 1000},
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		led := metadata.PartitionRun{Count: 1, Partition: here(1, 0)}
		img, delta, err := metadata.Fold(metadata.Empty(), []metadata.Record{topic("dirty", 1, led), topic("plain", 2, led), topic("idle", 3, led)})
		if err != nil {
			t.Fatal(err)
		}
		m.Apply(img, delta)
		m.Start()
		size := func(name string) int64 {
			found, err := m.ByName(name)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := found.Partition(0)
			n, err := p.Size()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for _, name := range []string{"dirty", "plain"} {
			found, _ := m.ByName(name)
			p, _ := found.Partition(0)
			for i := range 100 {
				b, err := record.Build(nil, record.PlainOptions(), []record.Record{{Key: []byte("k"), Value: []byte(strconv.Itoa(i)), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.AppendAsLeader(partition.Append{Records: b}, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
		}
		before := size("plain")
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if after := size("dirty"); after > before/4 {
			t.Errorf("%d bytes left of %d", after, before)
		}
		if size("plain") != before {
			t.Error("a topic that is not compacted was")
		}
		idle, _ := m.ByName("idle")
		if p, _ := idle.Partition(0); p.InUse() {
			t.Error("a log without data was opened")
		}
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := engine.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
