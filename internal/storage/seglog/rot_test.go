package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

const epochAt, epochEnd = 12, 16 // of a header: no checksum covers it and nothing else tells

// SEG-3: wherever a bit flips in a file, no reader gets another batch than was written, none is passed over, and an inspection finds the damage and all that
// is around it.
func TestAFlippedBitIsNeverServedAndAlwaysFound(t *testing.T) {
	fsys := vfs.NewMem()
	e := open(t, fsys, quiet())
	l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000})
	const size, records, count = 361, 3, 12 // of each batch, and batches: three segments
	var all [][]byte
	for i := range count {
		b := mkBatch(int64(records*i), records, size-record.HeaderSize, 1000)
		if _, err := l.Append(b); err != nil || len(b) != size {
			t.Fatal(len(b), err)
		}
		all = append(all, b)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	var flips [][3]int
	for at := range record.HeaderSize { // of a batch in the middle of its segment, of the first and of the last
		for _, batch := range []int{0, 2, 4} {
			flips = append(flips, [3]int{0, batch*size + at, rng.IntN(8)})
		}
	}
	for range 100 {
		flips = append(flips, [3]int{5 * rng.IntN(2), rng.IntN(5 * size), rng.IntN(8)})
	}
	for _, flip := range flips {
		if in := flip[1] % size; in >= epochAt && in < epochEnd {
			continue
		}
		clone := fsys.Crash(nil, vfs.KeepAll)
		change(t, clone, filepath.Join("data/t-0", fileName(kafka.Offset(records*flip[0]), logSuffix)), func(f vfs.File, _ int64) {
			b := make([]byte, 1)
			f.ReadAt(b, int64(flip[1]))
			b[0] ^= 1 << flip[2]
			f.WriteAt(b, int64(flip[1]))
		})
		what := fmt.Sprintf("bit %d of byte %d of segment %d", flip[2], flip[1], flip[0])
		bad := flip[0] + flip[1]/size
		e := open(t, clone, quiet())
		var told []kafka.Offset
		l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000, OnRot: func(at kafka.Offset, err error) {
			if !errors.Is(err, storage.ErrDamaged) {
				t.Errorf("%s: %v", what, err)
			}
			told = append(told, at)
		}})
		for offset := range records * count {
			from := offset / records
			x, err := l.Read(kafka.Offset(offset), storage.ReadLimit{MaxBytes: 1 << 20, Below: kafka.NoOffset})
			if err != nil {
				if !errors.Is(err, storage.ErrDamaged) || from < bad-1 || from > bad+1 && from/5 != bad/5 {
					t.Fatalf("%s: read from %d: %v", what, offset, err)
				}
				continue
			}
			b, _ := x.Bytes()
			i := from
			for _, batch := range b.All() {
				if i == bad || !bytes.Equal(batch, all[i]) {
					t.Fatalf("%s: a read from %d gave something else than batch %d", what, offset, i)
				}
				i++
			}
			x.Release()
		}
		if len(told) == 0 {
			t.Fatalf("%s: nobody was told", what)
		}
		var good []int
		var rot []storage.Rot
		for from := kafka.Offset(0); from < records*count; {
			in, err := l.Inspect(from, rng.IntN(2000), func(h *record.Header, batch []byte) error {
				if !bytes.Equal(batch, all[h.BaseOffset/records]) {
					t.Fatalf("%s: the inspection gave something else for batch %d", what, h.BaseOffset)
				}
				good = append(good, int(h.BaseOffset/records))
				return nil
			})
			if err != nil || in.Next <= from {
				t.Fatalf("%s: inspect from %d: %+v, %v", what, from, in, err)
			}
			rot = append(rot, in.Rot...)
			from = in.Next
		}
		if len(rot) == 0 || int(rot[0].From) > records*bad || int(rot[len(rot)-1].To) < records*(bad+1) {
			t.Fatalf("%s: found %+v", what, rot)
		}
		for i := range all {
			lost := slices.ContainsFunc(rot, func(r storage.Rot) bool { return r.From <= kafka.Offset(records*i) && kafka.Offset(records*i) < r.To })
			if lost == slices.Contains(good, i) {
				t.Fatalf("%s: batch %d is lost: %v; good are %v, damaged %+v", what, i, lost, good, rot)
			}
		}
		if in := flip[1] % size; in < 8 && len(rot) == 1 && len(good) != len(all)-1 || in >= 21 && len(good) != len(all)-1 {
			t.Errorf("%s: only %v are good", what, good)
		}
		e.Close()
	}
}

// SEG-2: an index that does not tell the truth is found and made anew, and one that does is left.
func TestIndexesAreChecked(t *testing.T) {
	fsys, _ := stopped(t)
	e := open(t, fsys, quiet())
	defer e.Close()
	l := openLog(t, e, "t", storage.Config{SegmentBytes: 2000, IndexInterval: 1})
	if good, err := l.CheckIndex(0); !good || err != nil {
		t.Fatalf("a true index: %v, %v", good, err)
	}
	index := filepath.Join("data/t-0", fileName(0, indexSuffix))
	change(t, fsys, index, func(f vfs.File, size int64) { f.WriteAt([]byte{0, 0, 0, 1, 0, 0, 0, 77}, 0) })
	if good, err := l.CheckIndex(0); good || err != nil {
		t.Fatalf("a lying index: %v, %v", good, err)
	}
	if good, err := l.CheckIndex(0); !good || err != nil {
		t.Fatalf("a mended index: %v, %v", good, err)
	}
}
