package seglog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// until waits for what the engine does by itself.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// No room for one kind of write, in the journal or in segments, takes nothing offline: nothing is announced that is not on disk, what is there is read,
// and when there is room everything goes on by itself, also where the file system says all the time that it has room, as one with a quota does
// (STO-7, SEG-6).
func TestNoRoomForAnyWriteIsWaitedOut(t *testing.T) {
	for _, c := range []struct {
		op, file string
		value    int
	}{
		{"write", "journal-", 100}, {"sync", "journal-", 100}, {"truncate", "journal-", 100},
		{"write", logSuffix, 60000}, {"sync", logSuffix, 60000}, {"truncate", logSuffix, 60000},
		{"write", indexSuffix, 60000}, {"sync", timeSuffix, 60000}, {"sync", "t-0", 60000}, {"rename", topicIDFile, 60000},
	} {
		t.Run(c.op+" "+c.file, func(t *testing.T) {
			t.Parallel()
			fs := vfs.NewMem()
			var hits atomic.Int64
			fs.Fail(func(op, path string) error {
				name := strings.TrimSuffix(filepath.Base(path), ".tmp")
				if (op == c.op || c.op == "sync" && op == "syncdir") && strings.Contains(name, c.file) && hits.Add(1) > 0 {
					return vfs.ErrNoSpace
				}
				return nil
			})
			e, err := Open(fs, []string{"data"}, crashOptions())
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			var durable atomic.Int64
			l, err := e.Open(id("t", 0), storage.Config{SegmentBytes: 100 << 10, OnDurable: func(o kafka.Offset) { durable.Store(int64(o)) },
				OnFailed: func(err error) { t.Errorf("the log failed: %v", err) }})
			if err != nil {
				t.Fatal(err)
			}
			end := int64(0)
			for range 4 {
				if _, err := l.Append(record.Batches(mkBatch(end, 1, c.value, end))); err != nil {
					if !errors.Is(err, storage.ErrFull) {
						t.Fatal(err)
					}
					break
				}
				end++
			}
			until(t, "the write is tried", func() bool { return hits.Load() > 0 })
			until(t, "an append is refused", func() bool { return e.Dirs()[0].Full })
			if _, err := l.Append(record.Batches(mkBatch(end, 1, c.value, end))); !errors.Is(err, storage.ErrFull) {
				t.Errorf("append: %v", err)
			}
			if got := readAll(t, l); len(got) == 0 {
				t.Error("nothing can be read")
			}
			announced := durable.Load()
			crashed := fs.Crash(rand.New(rand.NewPCG(1, 2)), vfs.CrashMode(1))
			fs.Fail(nil)
			if err := l.Sync(t.Context(), l.Bounds().End); err != nil {
				t.Fatal(err)
			}
			until(t, "appends are taken again", func() bool {
				_, err := l.Append(record.Batches(mkBatch(end, 1, c.value, end)))
				return err == nil
			})
			if err := l.Sync(t.Context(), l.Bounds().End); err != nil {
				t.Fatal(err)
			}
			if err := e.dirs[0].failure(); err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Errorf("close: %v", err)
			}

			e2, err := Open(crashed, []string{"data"}, crashOptions())
			if err != nil {
				t.Fatal(err)
			}
			defer e2.Close()
			l2, err := e2.Open(id("t", 0), storage.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if b := l2.Bounds(); b.End < kafka.Offset(announced) {
				t.Errorf("%d was announced, and after a crash the log ends at %d", announced, b.End)
			}
		})
	}
}

// A sync that fails for want of space is not followed by one that is believed without the bytes being written again; where they are not in memory any
// more, the log goes offline (SEG-6, VFS-3).
func TestBytesThatASyncLostAreWrittenAgainOrTheLogFails(t *testing.T) {
	for _, cached := range []bool{false, true} {
		t.Run(fmt.Sprint("cached=", cached), func(t *testing.T) {
			t.Parallel()
			fs := vfs.NewMem()
			opts := crashOptions()
			opts.Buffered = true
			e, err := Open(fs, []string{"data"}, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			failed := make(chan error, 1)
			cfg := storage.Config{OnFailed: func(err error) { failed <- err }}
			if cached {
				cfg.Durability = storage.Cached
			}
			log, err := e.Open(id("t", 0), cfg)
			if err != nil {
				t.Fatal(err)
			}
			l := log.(*Log)
			add := func() error {
				end := int64(l.Bounds().End)
				_, err := l.Append(record.Batches(mkBatch(end, 1, 60000, end)))
				return err
			}
			if err := add(); err != nil {
				t.Fatal(err)
			}
			if err := l.Sync(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			fs.Fail(func(op, path string) error {
				if op == "sync" && strings.HasSuffix(path, logSuffix) {
					return vfs.ErrNoSpace
				}
				return nil
			})
			if err := add(); err != nil {
				t.Fatal(err)
			}
			l.mu.Lock()
			l.syncNow = true
			l.mu.Unlock()
			if cached {
				_ = l.flush()
				if err := <-failed; !errors.Is(err, storage.ErrOffline) {
					t.Fatal(err)
				}
				return
			}
			until(t, "it is full", func() bool { return e.Dirs()[0].Full })
			if d := l.Bounds().Durable; d != 1 {
				t.Errorf("durable up to %d", d)
			}
			fs.Fail(nil)
			if err := l.Sync(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			e2, err := Open(fs.Crash(rand.New(rand.NewPCG(1, 2)), vfs.CrashMode(1)), []string{"data"}, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer e2.Close()
			l2, err := e2.Open(id("t", 0), storage.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if end := l2.Bounds().End; end != 2 {
				t.Errorf("after a crash the log ends at %d", end)
			}
			select {
			case err := <-failed:
				t.Error(err)
			default:
			}
		})
	}
}

// Whoever waits for memory that only a flush frees is refused when there is no room for the flush, so that nobody is held up by it.
func TestAppendsThatWaitForMemoryAreRefusedWhenThereIsNoRoom(t *testing.T) {
	fs := vfs.NewMem()
	fs.Fail(func(op, path string) error {
		if op == "write" && !strings.Contains(path, ownName) {
			return vfs.ErrNoSpace
		}
		return nil
	})
	opts := crashOptions()
	opts.DirectBytes = 64 << 20 // the journal takes everything, so that memory is short before a flush finds no room
	e, err := Open(fs, []string{"data"}, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var refused sync.WaitGroup
	for p := range int32(4) {
		l, err := e.Open(id("t", p), storage.Config{})
		if err != nil {
			t.Fatal(err)
		}
		refused.Go(func() {
			for end := int64(0); ; end++ {
				if _, err := l.Append(record.Batches(mkBatch(end, 1, 200000, end))); err != nil {
					if !errors.Is(err, storage.ErrFull) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	refused.Wait()
	fs.Fail(nil)
	until(t, "there is room", func() bool { return !e.Dirs()[0].Full })
}

// Whatever fills up for however long, what was announced is there after a crash, in order and byte for byte (STO-3, SEG-6, SEG-7).
func TestNothingDurableIsLostWhileTheDiskFillsUp(t *testing.T) {
	for range 3 {
		seed := seed.Of(t)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { fullRound(t, seed) })
	}
}

func fullRound(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewMem()
	models := make([]*model, 4)
	for i := range models {
		models[i] = &model{}
	}
	for range 3 {
		opts := crashOptions()
		opts.Buffered = rng.IntN(2) == 0
		e, err := Open(fs, []string{"data"}, opts)
		if err != nil {
			t.Fatal(err)
		}
		logs := make([]storage.Log, len(models))
		for i, m := range models {
			cfg := storage.Config{SegmentBytes: 300 << 10, OnDurable: func(o kafka.Offset) {
				m.mu.Lock()
				m.durable = max(m.durable, o)
				m.mu.Unlock()
			}, OnFailed: func(err error) { t.Errorf("log %d: %v", i, err) }}
			if logs[i], err = e.Open(id("crash", int32(i)), cfg); err != nil {
				t.Fatal(err)
			}
			check(t, "generation start", logs[i], m, kafka.Offset(0))
		}
		var mu sync.Mutex
		dice := rand.New(rand.NewPCG(seed, rng.Uint64()))
		full := 0 // one operation of so many finds no room; 0: none
		fs.Fail(func(op, path string) error {
			mu.Lock()
			defer mu.Unlock()
			if full > 0 && op != "statfs" && op != "read" && op != "size" && op != "remove" && op != "stat" && op != "list" && op != "lock" && dice.IntN(full) == 0 &&
				!strings.HasSuffix(path, "data/t") && op != "syncdir" {
				return vfs.ErrNoSpace
			}
			return nil
		})
		for range 200 {
			if rng.IntN(10) == 0 {
				mu.Lock()
				full = []int{0, 0, 1, 2, 5}[rng.IntN(5)]
				mu.Unlock()
			}
			i := rng.IntN(len(logs))
			m, l := models[i], logs[i]
			end := l.Bounds().End
			n := 1 + rng.IntN(4)
			b := mkBatch(int64(end), n, []int{40, 300, 5000, 30000, 90000}[rng.IntN(5)]+rng.IntN(50), int64(end))
			m.mu.Lock()
			m.batches, m.ends = append(m.batches, b), append(m.ends, end+kafka.Offset(n))
			m.mu.Unlock()
			if _, err := l.Append(record.Batches(b)); err != nil {
				if !errors.Is(err, storage.ErrFull) {
					t.Fatal(err)
				}
				m.mu.Lock()
				m.batches, m.ends = m.batches[:len(m.batches)-1], m.ends[:len(m.ends)-1]
				m.mu.Unlock()
				if rng.IntN(4) == 0 {
					mu.Lock()
					full = 0
					mu.Unlock()
					e.dirs[0].freed()
				}
			}
			if rng.IntN(8) == 0 {
				e.dirs[0].flushSoon(l.(*Log))
			}
		}
		if rng.IntN(2) == 0 { // room returns before the crash
			fs.Fail(nil)
			e.dirs[0].freed()
			for _, l := range logs {
				if err := l.Sync(context.Background(), l.Bounds().End); err != nil {
					t.Fatal(err)
				}
			}
		}
		known := make([]kafka.Offset, len(models))
		for i, m := range models {
			_, known[i], _ = m.image()
		}
		crashed := fs.Crash(rng, vfs.CrashMode(rng.IntN(3)))
		fs.Fail(nil)
		_ = e.Close()
		fs = crashed
		again, err := Open(fs, []string{"data"}, crashOptions())
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range models {
			l, err := again.Open(id("crash", int32(i)), storage.Config{})
			if err != nil {
				t.Fatal(err)
			}
			check(t, "after the crash", l, m, known[i])
			end, got := l.Bounds().End, 0
			for got < len(m.ends) && m.ends[got] <= end {
				got++
			}
			m.mu.Lock()
			m.batches, m.ends, m.durable = m.batches[:got], m.ends[:got], end
			m.mu.Unlock()
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What a flush had written before it found no room can be evicted once the rest is written, and what lies behind it too: memory that nobody gives back
// would have appends wait for ever.
func TestWhatWasPartlyFlushedIsEvicted(t *testing.T) {
	fs := vfs.NewMem()
	opts := crashOptions()
	e, err := Open(fs, []string{"data"}, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	opened, err := e.Open(id("partly", 0), storage.Config{SegmentBytes: 100 << 10, OnDurable: func(kafka.Offset) {}, OnFailed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	l := opened.(*Log)
	var full atomic.Bool
	fs.Fail(func(op, path string) error {
		if full.Load() && op == "write" && strings.HasSuffix(path, logSuffix) && !strings.HasSuffix(path, fileName(0, logSuffix)) {
			return vfs.ErrNoSpace
		}
		return nil
	})
	full.Store(true)
	for o := range int64(5) {
		if _, err := l.Append(record.Batches(mkBatch(o, 1, 60000, o))); err != nil && !errors.Is(err, storage.ErrFull) {
			t.Fatal(err)
		}
	}
	if err := l.flush(); !errors.Is(err, storage.ErrFull) {
		t.Fatalf("the flush said %v", err)
	}
	full.Store(false)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	for e.hot.evict() {
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.tail {
		t.Errorf("a block of the segment at %d stays, with %d bytes of which %d are flushed", b.seg.base, b.n, b.flushed)
	}
}
