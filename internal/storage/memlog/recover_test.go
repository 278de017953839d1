package memlog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/logtest"
	"github.com/rafka-io/rafka/internal/vfs"
)

var testID = storage.ID{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: 1}, TopicID: kafka.UUID{5: 1}}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill appends n batches of a KiB or so and syncs.
func fill(t testing.TB, e storage.Engine, n int) storage.Log {
	t.Helper()
	l, err := e.Open(testID, storage.Config{})
	must(t, err)
	for range n {
		at := l.Bounds().End
		_, err := l.Append(logtest.Batch{Base: at, Records: 2, ValueBytes: 500, Timestamp: 1, Seed: uint64(at)}.Append(nil))
		must(t, err)
	}
	must(t, l.Sync(context.Background(), l.Bounds().End))
	return l
}

// filled is a file system with a snapshot and a write-ahead log of 200 batches in all.
func filled(t testing.TB) (*vfs.Mem, []string) {
	t.Helper()
	mem := vfs.NewMem()
	for range 10 {
		e, err := openOver(mem)
		must(t, err)
		fill(t, e, 20)
		must(t, e.Close())
	}
	names, err := mem.List("/data")
	must(t, err)
	return mem, slices.DeleteFunc(names, func(n string) bool { return n == ".lock" })
}

// A snapshot replaces what came before it, and only that (MEM-2, MEM-3).
func TestSnapshotReplacesTheLogBefore(t *testing.T) {
	mem, names := filled(t)
	if len(names) != 2 || !strings.HasPrefix(names[0], "snapshot-") || names[1] != strings.Replace(names[0], "snapshot", "wal", 1) {
		t.Fatalf("files %q", names)
	}
	e, err := openOver(mem)
	must(t, err)
	defer e.Close()
	l, err := e.Open(testID, storage.Config{})
	must(t, err)
	if b := l.Bounds(); b.End != 400 || b.Durable != 400 || b.Start != 0 {
		t.Errorf("bounds %+v", b)
	}
}

// What is damaged is refused, never skipped; only the end of the last write-ahead log may be torn.
func TestDamageIsRefused(t *testing.T) {
	mem, names := filled(t)
	flip := func(fs *vfs.Mem, name string, at int64) {
		f, err := fs.Open("/data/"+name, vfs.Write)
		must(t, err)
		defer f.Close()
		var b [1]byte
		_, err = f.ReadAt(b[:], at)
		must(t, err)
		b[0] ^= 0x10
		_, err = f.WriteAt(b[:], at)
		must(t, err)
	}
	for name, harm := range map[string]func(*vfs.Mem){
		"a bit of the snapshot": func(fs *vfs.Mem) { flip(fs, names[0], 1000) },
		"a snapshot cut short": func(fs *vfs.Mem) {
			f, err := fs.Open("/data/"+names[0], vfs.Write)
			must(t, err)
			must(t, f.Truncate(1000))
			f.Close()
		},
		"a bit of a log that is not the last": func(fs *vfs.Mem) {
			flip(fs, names[1], 30)
			f, err := fs.Open("/data/"+names[1][:len(names[1])-2]+"99", vfs.Write|vfs.Create)
			must(t, err)
			f.Close()
		},
	} {
		fs := mem.Crash(nil, vfs.KeepAll)
		harm(fs)
		if e, err := openOver(fs); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("%s: %v, %v", name, e, err)
		}
		if l, err := fs.Lock("/data/.lock"); err != nil {
			t.Errorf("%s: the lock is still held: %v", name, err)
		} else {
			l.Close()
		}
	}
	fs := mem.Crash(nil, vfs.KeepAll)
	f, err := fs.Open("/data/"+names[1], vfs.Write)
	must(t, err)
	size, err := f.Size()
	must(t, err)
	must(t, f.Truncate(size-1))
	f.Close()
	e, err := openOver(fs)
	must(t, err)
	l, err := e.Open(testID, storage.Config{})
	must(t, err)
	if b := l.Bounds(); size > 0 && b.End != 398 {
		t.Errorf("a torn end: %+v", b)
	}
	must(t, e.Close())
	e, err = openOver(fs)
	must(t, err)
	if _, err := openOver(fs); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("two engines over one directory: %v", err)
	}
	must(t, e.Close())
}

// A full disk refuses appends before it is really full; reads go on, and so do appends when there is room again.
func TestFullDiskRefusesAppendsForAWhile(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(1 << 20)
	e, err := openOver(mem)
	must(t, err)
	defer e.Close()
	l := fill(t, e, 1)
	batch := func() []byte {
		return logtest.Batch{Base: l.Bounds().End, Records: 1, ValueBytes: 5000, Timestamp: 1}.Append(nil)
	}
	for err = nil; err == nil; {
		if _, err = l.Append(batch()); err == nil {
			must(t, l.Sync(context.Background(), l.Bounds().End))
		}
	}
	if !errors.Is(err, storage.ErrFull) {
		t.Fatal(err)
	}
	if d := e.Dirs(); len(d) != 1 || !d[0].Full || d[0].Failed != nil || d[0].Total != 1<<20 {
		t.Errorf("%+v", d)
	}
	if x, err := l.Read(0, storage.ReadLimit{MaxBytes: 100, Below: kafka.NoOffset}); err != nil || x == nil {
		t.Error(x, err)
	}
	must(t, l.Sidecar().Put("epochs", []byte("1")))
	mem.SetCapacity(8 << 20)
	if _, err := l.Append(batch()); err != nil {
		t.Fatal(err)
	}
}

// An extent's bytes are as they were read, though its chunk was truncated and appended to since (MEM-1).
func TestExtentKeepsItsBytesThroughTruncation(t *testing.T) {
	e, err := Open(Options{})
	must(t, err)
	l := fill(t, e, 20)
	x, err := l.Read(0, storage.ReadLimit{MaxBytes: 1 << 20, Below: kafka.NoOffset})
	must(t, err)
	before, err := x.Bytes()
	must(t, err)
	before = slices.Clone(before)
	must(t, l.TruncateTo(4))
	for range 30 {
		at := l.Bounds().End
		_, err := l.Append(logtest.Batch{Base: at, Records: 1, ValueBytes: 700, Timestamp: 2, Seed: 99}.Append(nil))
		must(t, err)
	}
	if after, err := x.Bytes(); err != nil || !slices.Equal(before, after) {
		t.Errorf("changed, %v", err)
	}
}

// No bytes in a file make the engine panic, or reserve more than they are.
func FuzzReplay(f *testing.F) {
	batch := logtest.Batch{Records: 2, ValueBytes: 10, Timestamp: 1}.Append(nil)
	for k := kind(0); k < 15; k++ {
		f.Add(appendFrame(nil, k, &testID, numbers(0, 2, 3, 4), batch), byte(k), []byte(batch))
	}
	f.Fuzz(func(t *testing.T, raw []byte, k byte, content []byte) {
		for _, b := range [][]byte{raw, append(appendFrame(nil, kindSegment, &testID, numbers(0, 9, 0, 0)), appendFrame(nil, kind(k), &testID, content)...)} {
			e, err := Open(Options{})
			must(t, err)
			n, err := replay(b, e.apply)
			if n > len(b) || err != nil && n == len(b) && n > 0 {
				t.Fatal(n, err)
			}
			for _, l := range e.logs {
				_, _ = l.Read(l.start, storage.ReadLimit{MaxBytes: 10, Below: kafka.NoOffset})
				_, _ = l.MaxTimestamp()
				l.Segments()
				_ = l.TruncateTo(1)
				_ = l.TrimTo(l.end)
			}
		}
	})
}
