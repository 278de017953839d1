package seglog

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// turning is an engine whose journal has turned from its first file to the second, while the sync of the first has not come to an end: a log of page cache
// durability has much in both.
type turning struct {
	fs   *vfs.Mem
	e    *Engine
	log  *Log
	all  [][]byte
	held atomic.Bool // syncs of the first file wait
	goOn chan struct{}
}

func newTurning(t *testing.T) *turning {
	w := &turning{fs: vfs.NewMem(), goOn: make(chan struct{})}
	o := quiet()
	o.JournalBytes, o.DirectBytes, o.HotBytes = 16<<20, 64<<20, 64<<20 // two files of 8 MiB, which take everything
	w.e = open(t, w.fs, o)
	w.log = openLog(t, w.e, "t", storage.Config{Durability: storage.Cached, SegmentBytes: 256 << 20})
	journal := w.e.dirs[0].journal
	w.fs.OnSync(func(path string) {
		if filepath.Base(path) == "journal-1" && w.held.Load() {
			<-w.goOn
		}
	})
	is := func(what func() bool) bool {
		journal.mu.Lock()
		defer journal.mu.Unlock()
		return what()
	}
	for !is(func() bool { return journal.ending }) {
		w.append(t, 1)
	}
	until(t, "the next file is ready before the first is full", func() bool { return is(func() bool { return journal.ready != nil }) })
	w.held.Store(true)
	for !is(func() bool { return len(journal.files) == 2 }) {
		w.append(t, 1)
	}
	w.append(t, 20)
	return w
}

func (w *turning) append(t *testing.T, n int) {
	t.Helper()
	w.all = append(w.all, fill(t, w.log, n, 60<<10)...)
	if err := w.log.Sync(t.Context(), w.log.Bounds().End); err != nil {
		t.Fatal(err)
	}
}

func (w *turning) release() { w.held.Store(false); close(w.goOn) }

// No append whose ack means the page cache waits while a full file of the journal is written to the disk; none whose ack means the disk is announced
// before that, for a log that was changed from the one to the other may have records in both files (SEG-6).
func TestAFullJournalFileHoldsUpOnlyWhoMeansTheDisk(t *testing.T) {
	w := newTurning(t)
	defer w.e.Close()
	disk := openLog(t, w.e, "u", storage.Config{})
	fill(t, disk, 1, 100)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := disk.Sync(ctx, 1); err == nil {
		t.Error("announced while an earlier file is not on disk")
	}
	w.release()
	if err := disk.Sync(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing is left to be synced", func() bool {
		j := w.e.dirs[0].journal
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.unsynced) == 0
	})
	if crashed := w.fs.Crash(nil, vfs.LoseUnsynced); len(afterCrash(t, crashed)) < len(w.all)-20 {
		t.Error("the full file was said to be on disk and is not")
	}
}

// Whatever a crash leaves of two files of which neither was synced, what comes back of a log is a prefix (STO-3, SEG-3), and all of it if the machine
// did not die.
func TestACrashWhileTheJournalTurnsLeavesAPrefix(t *testing.T) {
	w := newTurning(t)
	defer w.e.Close()
	defer w.release()
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	modes := []vfs.CrashMode{vfs.KeepAll, vfs.LoseUnsynced}
	for range 10 {
		modes = append(modes, vfs.KeepSome)
	}
	for _, mode := range modes {
		got := afterCrash(t, w.fs.Crash(rng, mode))
		if len(got) > len(w.all) || mode == vfs.KeepAll && len(got) < len(w.all) {
			t.Fatalf("crash mode %d: %d of %d batches", mode, len(got), len(w.all))
		}
		for i := range got {
			if !bytes.Equal(got[i], w.all[i]) {
				t.Fatalf("crash mode %d: batch %d is another", mode, i)
			}
		}
	}
}

// afterCrash is what the log has after a crash. It takes appends again.
func afterCrash(t *testing.T, crashed *vfs.Mem) [][]byte {
	t.Helper()
	e := open(t, crashed, quiet())
	defer e.Close()
	l := openLog(t, e, "t", storage.Config{})
	got := readAll(t, l)
	fill(t, l, 1, 10)
	if err := l.Sync(t.Context(), kafka.Offset(len(got)+1)); err != nil {
		t.Fatal(err)
	}
	return got
}
