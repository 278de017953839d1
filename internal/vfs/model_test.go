package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/seed"
)

// The same random operations on the operating system and on Mem give the same answers, so what is tested on Mem runs on a disk, and
// everything can go through FS (VFS-1).
func TestMemBehavesAsTheOperatingSystem(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	pair := &pair{t: t, rng: rng, sides: [2]side{{OS(), t.TempDir(), nil}, {NewMem(), "/base", nil}}}
	if err := pair.sides[1].fs.MkdirAll("/base"); err != nil {
		t.Fatal(err)
	}
	for range 4000 {
		pair.step()
	}
	for _, s := range pair.sides {
		for _, f := range s.open {
			f.Close()
		}
	}
}

type side struct {
	fs   FS
	base string
	open []File
}

type pair struct {
	t     *testing.T
	rng   *rand.Rand
	sides [2]side
}

// kind reduces an error to what callers may tell apart.
func kind(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, io.EOF):
		return "eof"
	case errors.Is(err, fs.ErrNotExist):
		return "not exist"
	case errors.Is(err, ErrAlign):
		return "align"
	case errors.Is(err, ErrLocked):
		return "locked"
	default:
		return "refused"
	}
}

// both runs one operation on each side and compares the answers.
func (p *pair) both(name string, op func(s *side) (any, error)) {
	p.t.Helper()
	a, errA := op(&p.sides[0])
	b, errB := op(&p.sides[1])
	if kind(errA) != kind(errB) {
		p.t.Fatalf("%s: the system says %v, Mem says %v", name, errA, errB)
	}
	if !reflect.DeepEqual(a, b) {
		p.t.Fatalf("%s: the system answers %v, Mem %v", name, a, b)
	}
}

func (p *pair) step() {
	rng := p.rng
	dirs := []string{"", "a", "b", "a/c"}
	dir := dirs[rng.IntN(len(dirs))]
	path := filepath.Join(dir, []string{"x", "y", "z"}[rng.IntN(3)])
	other := filepath.Join(dirs[rng.IntN(len(dirs))], []string{"x", "y", "z"}[rng.IntN(3)])
	off, n := rng.Int64N(5*BlockSize), rng.IntN(3*BlockSize)
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rng.IntN(256))
	}
	which := rng.IntN(8)
	withFile := func(op func(f File) (any, error)) func(s *side) (any, error) {
		return func(s *side) (any, error) {
			if len(s.open) == 0 {
				return nil, nil
			}
			return op(s.open[which%len(s.open)])
		}
	}
	switch rng.IntN(17) {
	case 0, 1:
		flag := []Flag{0, Write, Write | Create, Write | Create | Exclusive, Write | Create | Truncate, Write | Truncate, Create, Truncate}[rng.IntN(8)]
		p.both("open "+path, func(s *side) (any, error) {
			f, err := s.fs.Open(filepath.Join(s.base, path), flag)
			if err == nil {
				s.open = append(s.open, f)
			}
			return nil, err
		})
	case 2:
		p.both("close", func(s *side) (any, error) {
			if len(s.open) < 4 {
				return nil, nil
			}
			i := which % len(s.open)
			f := s.open[i]
			s.open = slices.Delete(s.open, i, i+1)
			if err := f.Close(); err != nil {
				return nil, err
			}
			_, err := f.ReadAt(make([]byte, 1), 0)
			return nil, err
		})
	case 3, 4, 5:
		p.both("write", withFile(func(f File) (any, error) { n, err := f.WriteAt(data, off); return n, err }))
	case 6, 7, 8:
		p.both("read", withFile(func(f File) (any, error) {
			b := make([]byte, len(data))
			n, err := f.ReadAt(b, off)
			return b[:n], err
		}))
	case 9:
		p.both("truncate", withFile(func(f File) (any, error) { return nil, f.Truncate(off) }))
	case 10:
		p.both("size", withFile(func(f File) (any, error) { n, err := f.Size(); return n, err }))
		p.both("allocate", withFile(func(f File) (any, error) { return nil, f.Allocate(off, int64(n)+1) }))
	case 11:
		p.both("sync", withFile(func(f File) (any, error) {
			f.Prefetch(off, int64(n))
			f.DropCache(0, 0)
			return nil, f.Sync()
		}))
	case 12:
		p.both("mkdir "+dir, func(s *side) (any, error) { return nil, s.fs.MkdirAll(filepath.Join(s.base, dir)) })
	case 13:
		p.both("list "+dir, func(s *side) (any, error) { return list(s.fs.List(filepath.Join(s.base, dir))) })
		p.both("syncdir "+dir, func(s *side) (any, error) { return nil, s.fs.SyncDir(filepath.Join(s.base, dir)) })
	case 14:
		p.both("rename "+path+" "+other, func(s *side) (any, error) {
			return nil, s.fs.Rename(filepath.Join(s.base, path), filepath.Join(s.base, other))
		})
	case 15:
		if rng.IntN(4) == 0 {
			p.both("remove all "+dir, func(s *side) (any, error) {
				if dir == "" {
					return nil, nil
				}
				return nil, s.fs.RemoveAll(filepath.Join(s.base, dir))
			})
			return
		}
		if rng.IntN(2) == 0 {
			path = dir
		}
		p.both("remove "+path, func(s *side) (any, error) {
			if path == "" {
				return nil, nil
			}
			return nil, s.fs.Remove(filepath.Join(s.base, path))
		})
	case 16:
		p.both("stat "+path, func(s *side) (any, error) {
			i, err := s.fs.Stat(filepath.Join(s.base, path))
			return Info{Size: i.Size, IsDir: i.IsDir}, err
		})
	}
}

func list(names []string, err error) (any, error) { return strings.Join(names, " "), err }

// Writing nothing changes nothing, so a file that was opened for reading takes it. The random operations meet this once in ten thousand writes.
func TestEmptyWriteIsNoWrite(t *testing.T) {
	mem := NewMem()
	if err := mem.MkdirAll("/base"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []side{{OS(), t.TempDir(), nil}, {mem, "/base", nil}} {
		path := filepath.Join(s.base, "x")
		made, err := s.fs.Open(path, Write|Create)
		if err != nil {
			t.Fatal(err)
		}
		made.Close()
		f, err := s.fs.Open(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.WriteAt(nil, 4096); n != 0 || err != nil {
			t.Errorf("%T: %d, %v", s.fs, n, err)
		}
		if size, err := f.Size(); size != 0 || err != nil {
			t.Errorf("%T: size %d, %v", s.fs, size, err)
		}
		if _, err := f.WriteAt([]byte{1}, 0); err == nil {
			t.Errorf("%T: wrote into a file that was opened for reading", s.fs)
		}
		f.Close()
	}
}
