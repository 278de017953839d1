package seglog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// model is what a log of the crash test was given and what it was told of it.
type model struct {
	mu      sync.Mutex
	batches [][]byte
	ends    []kafka.Offset // offset after each batch
	durable kafka.Offset   // OnDurable said so
	start   kafka.Offset   // TrimTo returned
}

func (m *model) image() (int, kafka.Offset, kafka.Offset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.batches), m.durable, m.start
}

// TestNothingDurableIsLostAtAnyCrash runs appends of all sizes to several logs and crashes at sync points chosen by a seed, each time in three
// ways: the process alone dies, the power fails and everything unsynced is gone, or some of it, torn. What OnDurable had announced must
// be there, byte for byte; what follows must be a prefix of what was appended; and the log must take appends again (STO-3, SEG-3, SEG-6, SEG-7).
func TestNothingDurableIsLostAtAnyCrash(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		seed := seed.Of(t)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { crashRound(t, seed) })
	}
}

func crashOptions() Options {
	return Options{HotBytes: 6 << 20, JournalBytes: 16 << 20, DirectBytes: 24 << 10, FlushAge: time.Millisecond, OpenFiles: 3, Workers: 2,
		Logger: slog.New(slog.DiscardHandler)}
}

func crashRound(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewMem()
	models := make([]*model, 4)
	for i := range models {
		models[i] = &model{}
	}
	generation := 0
	for ; generation < 4; generation++ {
		e, err := Open(fs, []string{"data"}, crashOptions())
		if err != nil {
			t.Fatal(err)
		}
		type snapshot struct {
			fs     *vfs.Mem
			seen   []int
			known  []kafka.Offset
			starts []kafka.Offset
		}
		var crashMu sync.Mutex
		var crashes []snapshot
		crashRng := rand.New(rand.NewPCG(seed, uint64(generation)+1))
		fs.OnSync(func(string) {
			crashMu.Lock()
			defer crashMu.Unlock()
			if len(crashes) >= 6 || crashRng.IntN(12) != 0 {
				return
			}
			s := snapshot{}
			for _, m := range models { // before the clone: what is durable now must be in it
				n, d, st := m.image()
				s.seen, s.known, s.starts = append(s.seen, n), append(s.known, d), append(s.starts, st)
			}
			s.fs = fs.Crash(crashRng, vfs.CrashMode(crashRng.IntN(3)))
			crashes = append(crashes, s)
		})
		logs := make([]storage.Log, len(models))
		for i, m := range models {
			cfg := storage.Config{SegmentBytes: 300 << 10, OnDurable: func(o kafka.Offset) {
				m.mu.Lock()
				m.durable = max(m.durable, o)
				m.mu.Unlock()
			}}
			if logs[i], err = e.Open(id("crash", int32(i)), cfg); err != nil {
				t.Fatal(err)
			}
			check(t, "generation start", logs[i], m, kafka.Offset(0))
		}
		for range 250 {
			i := rng.IntN(len(logs))
			m, l := models[i], logs[i]
			end := l.Bounds().End
			n := 1 + rng.IntN(4)
			b := mkBatch(int64(end), n, []int{40, 300, 5000, 30000, 90000}[rng.IntN(5)]+rng.IntN(50), int64(end))
			m.mu.Lock()
			m.batches, m.ends = append(m.batches, b), append(m.ends, end+kafka.Offset(n))
			m.mu.Unlock()
			if _, err := l.Append(record.Batches(b)); err != nil {
				t.Fatal(err)
			}
			switch rng.IntN(12) {
			case 0, 1, 2:
				if err := l.Sync(context.Background(), l.Bounds().End); err != nil {
					t.Fatal(err)
				}
			case 3:
				e.dirs[0].flushSoon(l.(*Log))
			case 4:
				if rng.IntN(6) == 0 {
					at := m.ends[rng.IntN(len(m.ends))]
					if err := l.TrimTo(at); err != nil {
						t.Fatal(err)
					}
					m.mu.Lock()
					m.start = max(m.start, at)
					m.mu.Unlock()
				}
			case 5:
				if err := l.(*Log).Roll(); err != nil {
					t.Fatal(err)
				}
			}
		}
		fs.OnSync(nil)
		crashMu.Lock()
		for k, s := range crashes {
			reopened(t, fmt.Sprintf("generation %d crash %d", generation, k), s.fs.Crash(crashRng, vfs.KeepAll), models, s.known, s.starts)
		}
		crashMu.Unlock()
		// Go on from one of the crashes, or from a clean stop.
		if len(crashes) > 0 && rng.IntN(3) > 0 {
			s := crashes[rng.IntN(len(crashes))]
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			fs = s.fs
			e2, err := Open(fs, []string{"data"}, crashOptions())
			if err != nil {
				t.Fatal(err)
			}
			for i, m := range models {
				l, err := e2.Open(id("crash", int32(i)), storage.Config{SegmentBytes: 300 << 10})
				if err != nil {
					t.Fatal(err)
				}
				end := l.Bounds().End
				n := 0
				for n < len(m.ends) && m.ends[n] <= end {
					n++
				}
				m.batches, m.ends, m.durable, m.start = m.batches[:n], m.ends[:n], end, l.Bounds().Start
			}
			if err := e2.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			for _, m := range models {
				if n := len(m.ends); n > 0 {
					m.durable = m.ends[n-1]
				}
			}
		}
	}
}

// reopened opens what a crash left, checks it, appends and checks again after a clean stop.
func reopened(t *testing.T, what string, fs *vfs.Mem, models []*model, known, starts []kafka.Offset) {
	t.Helper()
	e, err := Open(fs, []string{"data"}, crashOptions())
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	type tail struct {
		at kafka.Offset
		b  []byte
	}
	var tails []tail
	for i, m := range models {
		l, err := e.Open(id("crash", int32(i)), storage.Config{SegmentBytes: 300 << 10})
		if err != nil {
			t.Fatal(err)
		}
		check(t, what, l, m, known[i])
		if b := l.Bounds(); b.Start < starts[i] {
			t.Fatalf("%s: log %d starts at %d, trimmed to %d", what, i, b.Start, starts[i])
		}
		end := l.Bounds().End
		b := mkBatch(int64(end), 3, 700, 5)
		if _, err := l.Append(b); err != nil {
			t.Fatal(err)
		}
		if err := l.Sync(context.Background(), end+3); err != nil {
			t.Fatal(err)
		}
		tails = append(tails, tail{end, b})
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = Open(fs, []string{"data"}, crashOptions()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i, tl := range tails {
		l, err := e.Open(id("crash", int32(i)), storage.Config{SegmentBytes: 300 << 10})
		if err != nil {
			t.Fatal(err)
		}
		x, err := l.Read(tl.at, storage.ReadLimit{MaxBytes: 1, Below: -1})
		if err != nil || x == nil {
			t.Fatalf("%s: log %d after another start: read at %d: %v, bounds %+v", what, i, tl.at, err, l.Bounds())
		}
		if b, _ := x.Bytes(); string(b) != string(tl.b) {
			t.Fatalf("%s: log %d after another start: other bytes at %d", what, i, tl.at)
		}
		x.Release()
	}
}

// check reads the whole log and compares it with the model: everything below known must be there, the rest a prefix of what was appended.
func check(t *testing.T, what string, l storage.Log, m *model, known kafka.Offset) {
	t.Helper()
	b := l.Bounds()
	if b.End < known {
		if _, err := l.Read(0, storage.ReadLimit{MaxBytes: 1, Below: kafka.NoOffset}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		t.Fatalf("%s: the log ends at %d, but %d was durable", what, b.End, known)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := 0
	for k < len(m.ends) && m.ends[k] <= b.Start {
		k++
	}
	for from := b.Start; from < b.End; {
		x, err := l.Read(from, storage.ReadLimit{MaxBytes: 100 << 10, Below: kafka.NoOffset})
		if err != nil || x == nil {
			t.Fatalf("%s: read at %d of %+v: %v", what, from, b, err)
		}
		got, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for h, batch := range got.All() {
			if k >= len(m.batches) || string(batch) != string(m.batches[k]) {
				t.Fatalf("%s: other bytes at %d", what, h.BaseOffset)
			}
			from = h.NextOffset()
			k++
		}
		x.Release()
	}
	if n := len(m.ends); b.End > 0 && (k == 0 || k > n || m.ends[k-1] != b.End) && b.Start != b.End {
		t.Fatalf("%s: the log ends at %d, no batch does", what, b.End)
	}
}
