package broker

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage/seglog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// sender is an idempotent producer that sends rising numbers to one partition and sends again what was not acknowledged.
type sender struct {
	pid kafka.ProducerID
	at  int32

	mu    sync.Mutex
	acked []kafka.Offset // of number i
}

func (s *sender) batch(number int64) record.Batches {
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = s.pid, 0, kafka.Sequence(number)
	value := binary.BigEndian.AppendUint64(nil, uint64(number)<<16|uint64(s.pid))
	b, err := record.Build(nil, o, []record.Record{{Value: append(value, make([]byte, number*7%3000)...), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}})
	if err != nil {
		panic(err)
	}
	return b
}

// run sends from the first number that was not acknowledged, three in flight, until stop.
func (s *sender) run(w *world, stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-stop; cancel() }()
	var flights []Await[[]ProduceResult]
	settle := func() bool {
		f := flights[0]
		flights = flights[1:]
		r := f.Wait(ctx)[0]
		if r.Err != nil {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.acked = append(s.acked, r.BaseOffset)
		return true
	}
	for next := int64(len(s.acked)); ctx.Err() == nil; next++ {
		flights = append(flights, w.Produce(anybody, produceRequest(-1, ProducePartition{Topic: "a", Partition: s.at, Records: s.batch(next)})))
		if len(flights) == 3 && !settle() {
			return
		}
	}
	for len(flights) > 0 && settle() {
	}
}

// The whole way down and back: idempotent producers write, the machine crashes at any moment (the process alone, or the power with all or some
// of what was not synced), they send again what was not acknowledged. In the end every acknowledged record is at the offset that was
// acknowledged, and every number is there once and in order (PAR-3, PAR-7 over a real log).
func TestCrashLosesAndRepeatsNothing(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewMem()
	senders := make([]*sender, 4)
	for i := range senders {
		senders[i] = &sender{pid: kafka.ProducerID(i), at: int32(i % 2)}
	}
	for range 8 {
		engine, err := seglog.Open(fs, []string{"data"}, seglog.Options{
			HotBytes: 8 << 20, JournalBytes: 8 << 20, DirectBytes: 8 << 10, FlushAge: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorldOver(t, engine)
		w.topic("a", 1, 2)
		checkSenders(t, w, senders)

		stop := make(chan struct{})
		var after *vfs.Mem
		var acked []int
		left, mode := 20+dice.IntN(200), vfs.CrashMode(dice.IntN(3))
		var crash sync.Mutex
		fs.OnSync(func(string) {
			crash.Lock()
			defer crash.Unlock()
			if left--; left != 0 {
				return
			}
			for _, s := range senders {
				s.mu.Lock()
				acked = append(acked, len(s.acked))
				s.mu.Unlock()
			}
			after = fs.Crash(dice, mode)
			close(stop)
		})
		var all sync.WaitGroup
		for _, s := range senders {
			all.Go(func() { s.run(w, stop) })
		}
		all.Wait()
		if dice.IntN(3) == 0 {
			// No crash this time: a clean stop, of which everything is left.
			if err := w.replicas.Close(context.Background()); err != nil {
				t.Error(err)
			}
			after = fs
		} else {
			for i, s := range senders {
				s.acked = s.acked[:acked[i]]
			}
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
		fs = after
		fs.OnSync(nil)
	}
}

// checkSenders reads everything.
func checkSenders(t *testing.T, w *world, senders []*sender) {
	t.Helper()
	found := make([][]kafka.Offset, len(senders))
	for i := range int32(2) {
		for at := kafka.Offset(0); ; {
			r := w.fetch(fetchRequest(0, 1, from("a", i, at)))[0]
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if r.Records == nil {
				break
			}
			all, err := r.Records.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			for h, raw := range all.All() {
				for rec, err := range record.Records(raw, 0) {
					if err != nil {
						t.Fatal(err)
					}
					v := binary.BigEndian.Uint64(rec.Value)
					pid, number := v&0xffff, int(v>>16)
					if number != len(found[pid]) {
						t.Fatalf("producer %d: number %d at offset %d, after %d numbers", pid, number, rec.Offset, len(found[pid]))
					}
					found[pid] = append(found[pid], rec.Offset)
				}
				at = h.NextOffset()
			}
			r.Records.Release()
		}
	}
	for i, s := range senders {
		if len(found[i]) < len(s.acked) || !slices.Equal(found[i][:len(s.acked)], s.acked) {
			t.Fatalf("producer %d: acknowledged at %v\nfound at %v", i, s.acked, found[i])
		}
	}
}
