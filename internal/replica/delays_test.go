package replica

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/memlog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// delayWorld is a manager over an engine that outlives it, on the clock of the test.
type delayWorld struct {
	*testing.T
	fs     vfs.FS
	engine storage.Engine
	*Manager
}

func (w *delayWorld) open() {
	w.Helper()
	var err error
	if w.engine, err = memlog.Open(memlog.Options{FS: w.fs, Dir: "/data"}); err != nil {
		w.Fatal(err)
	}
	w.Manager, err = New(Options{
		NodeID: 1, Engine: w.engine, Logger: slog.New(slog.DiscardHandler),
		Settings: func(_ *metadata.Image, topic string) *partition.Settings {
			s := &partition.Settings{MinISR: 1, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
			s.Rules.Delays = strings.HasPrefix(topic, "later")
			return s
		},
	})
	if err != nil {
		w.Fatal(err)
	}
	led := metadata.PartitionRun{Count: 1, Partition: here(1, 0)}
	img, delta, err := metadata.Fold(metadata.Empty(), []metadata.Record{topic("later", 1, led), topic("later-too", 2, led), topic("plain", 3, led), topic("later-idle", 4, led)})
	if err != nil {
		w.Fatal(err)
	}
	w.Apply(img, delta)
	w.Start()
}

func (w *delayWorld) stop() {
	w.Helper()
	if err := w.Manager.Close(context.Background()); err != nil {
		w.Fatal(err)
	}
	if err := w.engine.Close(); err != nil {
		w.Fatal(err)
	}
}

func (w *delayWorld) partition(topic string) *partition.Partition {
	w.Helper()
	found, err := w.ByName(topic)
	if err != nil {
		w.Fatal(err)
	}
	p, err := found.Partition(0)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *delayWorld) send(topic string, delay time.Duration) {
	w.Helper()
	r := record.Record{Value: []byte("v"), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}
	if delay > 0 {
		r.Headers = []record.RecordHeader{{Key: record.DelayMs, Value: strconv.AppendInt(nil, delay.Milliseconds(), 10)}}
	}
	b, err := record.Build(nil, record.PlainOptions(), []record.Record{r})
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.partition(topic).AppendAsLeader(partition.Append{Records: b}, time.Now()); err != nil {
		w.Fatal(err)
	}
}

// seen is how many records consumers see.
func (w *delayWorld) seen(topic string) (n int) {
	w.Helper()
	synctest.Wait()
	r, err := w.partition(topic).Read(partition.ReadRequest{MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	if err != nil {
		w.Fatal(err)
	}
	if r.Records == nil {
		return 0
	}
	defer r.Records.Release()
	b, _ := r.Records.Bytes()
	for h := range b.All() {
		if !h.IsControl() {
			n += int(h.Records)
		}
	}
	return n
}

// PAR-8: what waits is released at its time by itself, also when something earlier comes after something later, and after a restart in which nobody
// uses the partition.
func TestDelayedRecordsAreReleasedByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &delayWorld{T: t, fs: vfs.NewMem()}
		w.open()
		w.send("later", time.Hour)
		w.send("later", 10*time.Second)
		w.send("later-too", 10*time.Second)
		w.send("plain", 10*time.Second) // which asks in vain
		if a, b := w.seen("later"), w.seen("plain"); a != 0 || b != 1 {
			t.Fatalf("at once %d and %d", a, b)
		}
		time.Sleep(10*time.Second - time.Millisecond)
		if n := w.seen("later") + w.seen("later-too"); n != 0 {
			t.Errorf("%d a millisecond early", n)
		}
		time.Sleep(time.Millisecond)
		if a, b := w.seen("later"), w.seen("later-too"); a != 1 || b != 1 {
			t.Errorf("in time %d and %d", a, b)
		}
		w.stop()

		w.open()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !w.partition("later").InUse() || w.partition("plain").InUse() || w.partition("later-idle").InUse() {
			t.Error("other partitions were opened than those that may have delayed records")
		}
		time.Sleep(time.Hour)
		if n := w.seen("later"); n != 2 {
			t.Errorf("%d after the restart", n)
		}
		w.stop()
	})
}
