package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"
	"unsafe"
)

// each runs a test on both file systems, in an empty directory.
func each(t *testing.T, test func(t *testing.T, fs FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, OS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		must(t, m.MkdirAll("/d"))
		test(t, m, "/d")
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, f File, s string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(s), off)
	must(t, err)
}

func create(t testing.TB, fs FS, path string) File {
	t.Helper()
	f, err := fs.Open(path, Write|Create)
	must(t, err)
	return f
}

func content(t testing.TB, fs FS, path string) string {
	t.Helper()
	f, err := fs.Open(path, 0)
	must(t, err)
	defer f.Close()
	n, err := f.Size()
	must(t, err)
	b := make([]byte, n)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	return string(b)
}

func TestDirectFilesRefuseWhatIsNotAligned(t *testing.T) {
	each(t, func(t *testing.T, fs FS, dir string) {
		f, err := fs.Open(filepath.Join(dir, "f"), Write|Create|Direct)
		must(t, err)
		defer f.Close()
		b := Aligned(2 * BlockSize)
		copy(b, "one")
		if n, err := f.WriteAt(b, 0); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
		for name, err := range map[string]error{
			"offset":       second(f.WriteAt(b, 512)),
			"length":       second(f.WriteAt(b[:100], 0)),
			"memory":       second(f.WriteAt(b[8:8+BlockSize], 0)),
			"read offset":  second(f.ReadAt(b, 1)),
			"read length":  second(f.ReadAt(b[:1], 0)),
			"read memory":  second(f.ReadAt(b[16:16+BlockSize], 0)),
			"short memory": second(f.ReadAt(b[1:2], 0)),
		} {
			if !errors.Is(err, ErrAlign) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A file that ends inside a block is read to its end, and not beyond.
		must(t, f.Truncate(BlockSize+700))
		clear(b)
		if n, err := f.ReadAt(b, 0); n != BlockSize+700 || err != io.EOF || string(b[:3]) != "one" {
			t.Fatal(n, err)
		}
		must(t, f.Sync())
	})
}

func second(_ int, err error) error { return err }

func TestLockExcludesAnother(t *testing.T) {
	each(t, func(t *testing.T, fs FS, dir string) {
		path := filepath.Join(dir, ".lock")
		l, err := fs.Lock(path)
		must(t, err)
		if _, err := fs.Lock(path); !errors.Is(err, ErrLocked) {
			t.Fatalf("second lock: %v", err)
		}
		must(t, l.Close())
		l, err = fs.Lock(path)
		must(t, err)
		must(t, l.Close())
	})
}

func TestFreeTellsAndErrorsAreTheSystems(t *testing.T) {
	each(t, func(t *testing.T, fsys FS, dir string) {
		free, total, err := fsys.Free(dir)
		if err != nil || free == 0 || total < free {
			t.Fatal(free, total, err)
		}
		if _, _, err := fsys.Free(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("free: %v", err)
		}
		if _, err := fsys.Open(filepath.Join(dir, "none"), Write); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open: %v", err)
		}
		create(t, fsys, filepath.Join(dir, "f")).Close()
		if _, err := fsys.Open(filepath.Join(dir, "f"), Write|Create|Exclusive); !errors.Is(err, fs.ErrExist) {
			t.Errorf("exclusive: %v", err)
		}
	})
}

// A file that was removed or replaced stays readable through what is open.
func TestOpenFilesSurviveRemoval(t *testing.T) {
	each(t, func(t *testing.T, fs FS, dir string) {
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		f, g := create(t, fs, a), create(t, fs, b)
		defer f.Close()
		defer g.Close()
		write(t, f, "old", 0)
		write(t, g, "new", 0)
		must(t, fs.Rename(b, a))
		must(t, fs.Remove(a))
		for want, f := range map[string]File{"old": f, "new": g} {
			var got [3]byte
			if _, err := f.ReadAt(got[:], 0); err != nil || string(got[:]) != want {
				t.Errorf("got %q %v, want %q", got, err, want)
			}
		}
	})
}

func TestAlignedIsAligned(t *testing.T) {
	for _, n := range []int{1, BlockSize, 3 * BlockSize} {
		if b := Aligned(n); len(b) != n || cap(b) != n || uintptr(unsafe.Pointer(&b[0]))%BlockSize != 0 {
			t.Errorf("%d bytes: length %d, capacity %d, address %p", n, len(b), cap(b), b)
		}
	}
	if len(Aligned(0)) != 0 {
		t.Error("nothing is something")
	}
}

// What a full file system says is ErrNoSpace, and writing goes on when there is room again.
func TestFullMemSaysSo(t *testing.T) {
	m := NewMem()
	f := create(t, m, "f")
	m.SetCapacity(2 * BlockSize)
	n, err := f.WriteAt(bytes.Repeat([]byte("x"), 3*BlockSize), 0)
	if n != 2*BlockSize || !errors.Is(err, ErrNoSpace) {
		t.Fatal(n, err)
	}
	if err := f.Allocate(2*BlockSize, 1); !errors.Is(err, ErrNoSpace) {
		t.Fatal(err)
	}
	if free, total, _ := m.Free("/"); free != 0 || total != 2*BlockSize {
		t.Fatal(free, total)
	}
	write(t, f, "overwriting needs no room", 0)
	must(t, f.Truncate(BlockSize))
	must(t, f.Allocate(0, 2*BlockSize))
	g := create(t, m, "g")
	if _, err := g.WriteAt([]byte("y"), 0); !errors.Is(err, ErrNoSpace) {
		t.Fatal("what is allocated was given away:", err)
	}
	write(t, f, "reserved", BlockSize)
	must(t, m.Remove("f"))
	if _, err := g.WriteAt([]byte("y"), 0); !errors.Is(err, ErrNoSpace) {
		t.Fatal("the space of an open file was given away:", err)
	}
	must(t, f.Close())
	write(t, g, "y", 0)
}

func TestFailHookFailsOneOperation(t *testing.T) {
	m := NewMem()
	broken := errors.New("broken")
	m.Fail(func(op, path string) error {
		if op == "rename" {
			return broken
		}
		return nil
	})
	create(t, m, "a").Close()
	if err := m.Rename("a", "b"); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if names, _ := m.List(""); len(names) != 1 || names[0] != "a" {
		t.Fatal(names)
	}
}
