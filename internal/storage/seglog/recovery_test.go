package seglog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// stopped returns a file system with a log of three segments after a clean stop, as if it had crashed since: without marker and
// checkpoints, so that all of the last segment is scanned.
func stopped(t *testing.T) (*vfs.Mem, [][]byte) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000})
	all := fill(t, l, 12, 300)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{cleanName, pointsName} {
		if err := fsys.Remove(filepath.Join("data", ownName, n)); err != nil {
			t.Fatal(err)
		}
	}
	return fsys, all
}

func change(t *testing.T, fsys vfs.FS, path string, fn func(f vfs.File, size int64)) {
	t.Helper()
	f, err := fsys.Open(path, vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	fn(f, size)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// SEG-3: whatever a crash does to the end of the active segment, at whatever byte, recovery keeps the batches before it, and only those.
func TestTornTailIsCutAtTheFirstBadBatchAtEveryByte(t *testing.T) {
	fsys, all := stopped(t)
	const last = "data/t-0/00000000000000000010.log" // two batches of 361 bytes
	info, err := fsys.Stat(last)
	if err != nil || info.Size != 2*361 {
		t.Fatalf("%+v %v", info, err)
	}
	harm := map[string]func(f vfs.File, at int64){
		"cut":    func(f vfs.File, at int64) { f.Truncate(at) },
		"zeroed": func(f vfs.File, at int64) { f.WriteAt(make([]byte, info.Size-at+4096), at) },
		"garbage": func(f vfs.File, at int64) {
			b := make([]byte, info.Size-at+100)
			for i := range b {
				b[i] = byte(i*7 + 13)
			}
			f.WriteAt(b, at)
		},
	}
	for name, fn := range harm {
		for at := int64(0); at < info.Size; at++ {
			clone := fsys.Crash(nil, vfs.KeepAll)
			change(t, clone, last, func(f vfs.File, _ int64) { fn(f, at) })
			e := open(t, clone, quiet())
			l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000})
			want := 10 + int(at/361)
			what := fmt.Sprintf("%s at byte %d", name, at)
			samePrefix(t, what, readAll(t, l), all, want)
			fill(t, l, 1, 20)
			if err := l.Sync(context.Background(), l.Bounds().End); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := e.Close(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
}

// SEG-3: damage in a closed segment is found when it is read, and is an error, not a gap.
func TestDamageInAClosedSegmentIsNeverSkipped(t *testing.T) {
	fsys, _ := stopped(t)
	change(t, fsys, "data/t-0/00000000000000000000.log", func(f vfs.File, size int64) { f.Truncate(size - 100) })
	e := open(t, fsys, quiet())
	defer e.Close()
	l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000})
	var err error
	for from := kafka.Offset(0); from < 12 && err == nil; from++ {
		var x storage.Extent
		if x, err = l.Read(from, storage.ReadLimit{MaxBytes: 1, Below: kafka.NoOffset}); x != nil {
			b, _ := x.Bytes()
			for h := range b.All() {
				if h.BaseOffset != from {
					t.Fatalf("asked for %d, got %d", from, h.BaseOffset)
				}
			}
			x.Release()
		}
	}
	if !errors.Is(err, storage.ErrDamaged) {
		t.Fatalf("want ErrDamaged, got %v", err)
	}
}

// SEG-2: a missing, torn or lying index changes nothing that a reader sees. (One cut by hand exactly between two entries looks like one with
// fewer entries; closed segments' indexes are synced with them, so a crash does not do that.)
func TestIndexesAreHints(t *testing.T) {
	fsys, all := stopped(t)
	for _, suffix := range []string{indexSuffix, timeSuffix} {
		for name, fn := range map[string]func(vfs.File, int64){
			"cut":     func(f vfs.File, size int64) { f.Truncate(size/2 | 1) },
			"garbage": func(f vfs.File, _ int64) { f.WriteAt([]byte{0, 0, 0, 3, 0, 0, 0, 77, 1, 2, 3, 4, 5, 6, 7, 8}, 0) },
			"empty":   func(f vfs.File, _ int64) { f.Truncate(0) },
		} {
			clone := fsys.Crash(nil, vfs.KeepAll)
			change(t, clone, filepath.Join("data/t-0", fileName(0, suffix)), fn)
			e := open(t, clone, quiet())
			l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000, IndexInterval: 1})
			samePrefix(t, name+suffix, readAll(t, l), all, len(all))
			if ot, err := l.OffsetForTime(1003); err != nil || ot.Offset != 3 {
				t.Fatalf("%s%s: OffsetForTime(1003) = %+v, %v", name, suffix, ot, err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// SEG-5: the marker is gone before anything can be appended, so a crash right after a start is a crash.
func TestCleanStopMarkerIsRemovedBeforeTheFirstAppend(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	fill(t, openLog(t, e, "t", storage.Config{}), 3, 100)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join("data", ownName, cleanName)
	if _, err := fsys.Stat(marker); err != nil {
		t.Fatalf("a clean stop leaves the marker: %v", err)
	}
	e = open(t, fsys, quiet())
	defer e.Close()
	if _, err := fsys.Crash(nil, vfs.LoseUnsynced).Stat(marker); err == nil {
		t.Fatal("the marker survives a crash after a start")
	}
}

// SEG-1, SEG-4, SEG-8: names, contiguity, one active segment; a closed one does not change any more.
func TestSegmentsAreNamedByOffsetContiguousAndImmutable(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000})
	fill(t, l, 7, 300)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	before, err := readFile(fsys, "data/t-0/00000000000000000000.log", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 20, 300)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	next, active := kafka.Offset(0), 0
	for _, s := range l.Segments() {
		if s.Base != next {
			t.Fatalf("segment begins at %d, the one before it ends at %d", s.Base, next)
		}
		if _, err := fsys.Stat(filepath.Join("data/t-0", fileName(s.Base, logSuffix))); err != nil {
			t.Fatal(err)
		}
		next = s.Next
		if s.Active {
			active++
		}
	}
	if active != 1 || next != 27 {
		t.Fatalf("%d active segments, end %d", active, next)
	}
	after, err := readFile(fsys, "data/t-0/00000000000000000000.log", 1<<20)
	if err != nil || string(before) != string(after) {
		t.Fatalf("a closed segment changed (%v)", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// SEG-6: a round's appends, of however many partitions, cost one fsync; without the journal they would cost one each.
func TestOneFsyncCoversAllPartitionsOfARound(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	defer e.Close()
	var logs []*Log
	for p := range 50 {
		l, err := e.Open(id("t", int32(p)), storage.Config{})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, l, 1, 10)
		if err := l.Sync(context.Background(), 1); err != nil { // the journal file exists from here on
			t.Fatal(err)
		}
		logs = append(logs, l.(*Log))
	}
	before := fsys.Counts().Syncs
	gate := make(chan struct{})
	fsys.OnSync(func(string) { <-gate }) // the first round waits in its fsync until all others have appended
	for _, l := range logs {
		fill(t, l, 1, 10)
	}
	close(gate)
	for _, l := range logs {
		if err := l.Sync(context.Background(), 2); err != nil {
			t.Fatal(err)
		}
	}
	fsys.OnSync(nil)
	if n := fsys.Counts().Syncs - before; n > 2 {
		t.Fatalf("%d fsyncs for 50 appends, want at most 2", n)
	}
}

// STO-7, VFS-3: after a failed fsync nothing is durable any more and the log says so.
func TestAFailedFsyncTakesTheDirectoryOffline(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	defer e.Close()
	failed := make(chan error, 1)
	l := openLog(t, e, "t", storage.Config{OnFailed: func(err error) { failed <- err }})
	fill(t, l, 1, 10)
	if err := l.Sync(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	fsys.Fail(func(op, _ string) error {
		if op == "sync" {
			return errors.New("the disk is broken")
		}
		return nil
	})
	fill(t, l, 1, 10)
	if err := l.Sync(context.Background(), 2); !errors.Is(err, storage.ErrOffline) {
		t.Fatalf("Sync after a failed fsync: %v", err)
	}
	fsys.Fail(nil)
	if err := <-failed; !errors.Is(err, storage.ErrOffline) {
		t.Fatal(err)
	}
	if _, err := l.Append(mkBatch(2, 1, 10, 0)); !errors.Is(err, storage.ErrOffline) {
		t.Fatalf("Append after a failed fsync: %v", err)
	}
	if d := l.Bounds().Durable; d != 1 {
		t.Fatalf("durable is %d, want 1", d)
	}
}

// STO-4: an append that a flush made durable while the journal's frame with it was still on its way does not come back after a truncation.
func TestTruncationOutlivesAFrameThatWasOnItsWay(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	l := openLog(t, e, "t", storage.Config{})
	inSync, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys.OnSync(func(path string) {
		if strings.HasPrefix(filepath.Base(path), "journal-") { // made for this frame, which is not written yet
			once.Do(func() { close(inSync); <-goOn })
		}
	})
	put := func(b []byte) {
		if _, err := l.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	put(mkBatch(0, 3, 100, 1))
	<-inSync
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.TruncateTo(1) }()
	select {
	case err := <-done: // too early
		done <- err
	case <-time.After(20 * time.Millisecond): // it waits
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	put(mkBatch(0, 1, 100, 2))
	if err := l.Sync(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	crashed := fsys.Crash(nil, vfs.KeepAll)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, crashed, quiet())
	defer e.Close()
	if b := openLog(t, e, "t", storage.Config{}).Bounds(); b.End != 1 {
		t.Fatalf("truncated to 0 and appended to 1, then recovered as %+v", b)
	}
}

// A topic whose removal a crash interrupted does not come back for the directory of the next topic of its name.
func TestRemovedTopicLeavesItsSuccessorAlone(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	old := openLog(t, e, "t", storage.Config{})
	fill(t, old, 3, 100)
	if err := old.Sync(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	fsys = fsys.Crash(nil, vfs.LoseUnsynced) // the metadata says that it is removed; nobody has told this log
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, fsys, quiet())
	next := storage.ID{TopicPartition: old.id.TopicPartition, TopicID: kafka.UUID{99}}
	l, err := e.Open(next, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	all := fill(t, l, 2, 200)
	if err := l.(*Log).flush(); err != nil { // into its directory: the journal has nothing of it
		t.Fatal(err)
	}
	crashed := fsys.Crash(nil, vfs.LoseUnsynced)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, crashed, quiet())
	defer e.Close()
	if l, err = e.Open(next, storage.Config{}); err != nil {
		t.Fatal(err)
	}
	samePrefix(t, "the next topic", readAll(t, l), all, 2)
}
