package logtest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// compareSegments checks the list against the log: contiguous, one active at the end, sizes that add up, the right times.
func (u *subject) compareSegments() []storage.SegmentInfo {
	u.Helper()
	segs := u.segmented().Segments()
	if len(segs) == 0 {
		if len(u.model.pieces) > 0 {
			u.Fatal("no segments")
		}
		return nil
	}
	size := int64(0)
	for i, g := range segs {
		size += g.Bytes
		if g.Active != (i == len(segs)-1) {
			u.Fatalf("segment %d of %d: %+v", i, len(segs), g)
		}
		if g.Next < g.Base || i > 0 && g.Base != segs[i-1].Next {
			u.Fatalf("segment %+v does not follow %+v", g, segs[max(i-1, 0)])
		}
		if !g.Active {
			u.compareSegment(g)
		}
	}
	if last := segs[len(segs)-1]; last.Next != u.model.end || segs[0].Base > u.model.start {
		u.Fatalf("segments from %d to %d, the log is %d..%d", segs[0].Base, last.Next, u.model.start, u.model.end)
	}
	if size != u.log.Size() {
		u.Fatalf("segments of %d bytes, the log's size is %d", size, u.log.Size())
	}
	return segs
}

// compareSegment reads a closed segment.
func (u *subject) compareSegment(g storage.SegmentInfo) {
	u.Helper()
	got, err := readSegment(u.segmented(), g.Base)
	u.must(err)
	size, largest := int64(0), kafka.NoTimestamp
	for _, p := range got {
		size += int64(len(p.bytes))
		largest = max(largest, p.MaxTimestamp)
		if p.BaseOffset < g.Base || p.LastOffset() >= g.Next {
			u.Fatalf("segment %+v holds batch %s", g, p)
		}
	}
	if size != g.Bytes || largest != g.MaxTimestamp {
		u.Fatalf("segment %+v has %d bytes and its largest time is %d", g, size, largest)
	}
	want := keepBelow(reachAbove(u.model.pieces, max(g.Base, u.model.start)), g.Next)
	if err := samePieces(reachAbove(got, u.model.start), want); err != nil {
		u.Fatalf("segment %+v: %v", g, err)
	}
}

func readSegment(g storage.Segmented, base kafka.Offset) (all []piece, err error) {
	err = g.ReadSegment(base, func(b record.Batches) error {
		got := pieces(b)
		if len(got) == 0 {
			return fmt.Errorf("%d bytes without a whole batch", len(b))
		}
		all = append(all, got...)
		return nil
	})
	return all, err
}

func segmentsContiguous(s *suite) {
	u := s.open("t", small)
	u.compareSegments()
	for range 10 {
		u.append(20)
		segs := u.compareSegments()
		u.trim(min(u.model.start+kafka.Offset(u.rng.Int64N(30)), u.model.end))
		u.compareSegments()
		u.truncate(u.model.cutOffset(u.rng))
		u.compareSegments()
		u.check()
		for _, g := range segs {
			inside := keepBelow(reachAbove(u.model.pieces, g.Base), g.Next)
			if g.Bytes > small.SegmentBytes && len(inside) > 1 {
				u.Fatalf("segment %+v of several batches is larger than segment.bytes %d", g, small.SegmentBytes)
			}
		}
	}
	if _, err := readSegment(u.segmented(), u.model.end+1000); err == nil {
		u.Error("a segment that is not there can be read")
	}
}

func segmentsRoll(s *suite) {
	u := s.open("t", storage.Config{})
	g := u.segmented()
	u.must(g.Roll())
	u.append(5)
	before := len(u.compareSegments())
	u.must(g.Roll())
	u.must(g.Roll())
	segs := u.compareSegments()
	if len(segs) != before+1 || segs[before].Bytes != 0 {
		u.Fatalf("%d segments, then %+v", before, segs)
	}
	u.check()
	u.append(5)
	u.sync()
	u.compareSegments()
	// What was rolled whole can be trimmed whole.
	u.must(g.Roll())
	u.trim(u.model.end)
	if segs := u.compareSegments(); segs[0].Bytes != 0 {
		u.Errorf("trimmed to the end: %+v", segs)
	}
	u.append(1)
	u.check()
}

// Replaced segments show the new content; order and offsets stay (CMP-1), what is around them is untouched, and a failed write changes
// nothing (CMP-5).
func segmentsReplace(s *suite) {
	u := s.open("t", small)
	g := u.segmented()
	broken := fmt.Errorf("the writer gave up")
	for round := range 15 {
		u.append(30)
		segs := u.compareSegments()
		if len(segs) < 3 {
			continue
		}
		i := u.rng.IntN(len(segs) - 1)
		j := i + u.rng.IntN(min(3, len(segs)-1-i))
		from, to := segs[i].Base, segs[j].Next
		err := g.ReplaceSegments(from, to, func(sink func(record.Batches) error) error {
			if err := sink(Batch{Base: from, Records: 1, ValueBytes: 100, Seed: 1}.Append(nil)); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			u.Fatalf("a failed write: %v", err)
		}
		u.check()
		keep := func(p piece) bool { return u.rng.IntN(3) > 0 }
		if round%5 == 4 {
			keep = func(piece) bool { return false }
		}
		u.replace(from, to, keep)
		u.check()
		u.compareSegments()
		u.compareTimes(20)
		u.compareMax()
	}
	segs := u.compareSegments()
	for name, bounds := range map[string][2]kafka.Offset{
		"the active segment": {segs[len(segs)-1].Base, segs[len(segs)-1].Next},
		"half a segment":     {segs[0].Base, segs[0].Next - 1},
		"nothing":            {segs[0].Base, segs[0].Base},
	} {
		if err := g.ReplaceSegments(bounds[0], bounds[1], func(func(record.Batches) error) error { return nil }); err == nil {
			u.Errorf("%s was replaced", name)
		}
	}
	u.check()
	// A batch beyond the range would change what lies behind it.
	if err := g.ReplaceSegments(segs[0].Base, segs[0].Next, func(sink func(record.Batches) error) error { return sink(u.batch(segs[0].Next)) }); err == nil {
		u.Error("a batch beyond the range was taken")
	}
	u.check()
}

// replace compacts [from, to): batches that keep refuses go, others stay or shrink to one record with the same offsets.
func (u *subject) replace(from, to kafka.Offset, keep func(piece) bool) {
	u.Helper()
	g := u.segmented()
	var content []piece
	for _, info := range g.Segments() {
		if info.Active || info.Base < from || info.Next > to {
			continue
		}
		old, err := readSegment(g, info.Base)
		u.must(err)
		for _, p := range old {
			if !keep(p) {
				continue
			}
			if p.LastOffsetDelta > 0 {
				b := Batch{Base: p.LastOffset(), Records: 1, ValueBytes: 10, Timestamp: p.MaxTimestamp, Seed: uint64(p.CRC)}.Append(nil)
				p = pieces(b)[0]
			}
			content = append(content, p)
		}
	}
	u.must(g.ReplaceSegments(from, to, writer(content)))
	u.model.replace(from, to, content)
}

func writer(content []piece) func(func(record.Batches) error) error {
	return func(sink func(record.Batches) error) error {
		for _, p := range content {
			b := bytes.Clone(p.bytes)
			if err := sink(b); err != nil {
				return err
			}
			clear(b) // the sink borrows
		}
		return nil
	}
}

// replace puts content in place of the batches in [from, to).
func (m *model) replace(from, to kafka.Offset, content []piece) {
	var all []piece
	for _, p := range m.pieces {
		if p.BaseOffset < from {
			all = append(all, p)
		}
	}
	all = append(all, content...)
	for _, p := range m.pieces {
		if p.BaseOffset >= to {
			all = append(all, p)
		}
	}
	m.pieces = reachAbove(all, m.start)
}

// STO-5: an extent stays readable whatever happens to its batches.
func extentsOutlive(s *suite) {
	u := s.open("t", small)
	type held struct {
		x    storage.Extent
		want []piece
	}
	var open []held
	hold := func() {
		u.Helper()
		for range 5 {
			from := u.model.start + kafka.Offset(u.rng.Int64N(int64(u.model.end-u.model.start)))
			lim := storage.ReadLimit{MaxBytes: 2000, Below: kafka.NoOffset}
			x, err := u.log.Read(from, lim)
			u.must(err)
			if x == nil {
				u.Fatalf("nothing at %d of %d..%d", from, u.model.start, u.model.end)
			}
			most, _ := u.model.read(from, lim)
			open = append(open, held{x, most})
		}
	}
	for range 6 {
		u.append(40)
		if u.rng.IntN(2) == 0 {
			u.sync()
		}
		hold()
		if g, ok := u.log.(storage.Segmented); ok {
			u.must(g.Roll())
			hold()
			segs := g.Segments()
			u.replace(segs[0].Base, segs[len(segs)-2].Next, func(piece) bool { return u.rng.IntN(4) > 0 })
			if len(u.model.pieces) > 0 {
				u.append(1)
				hold()
			}
		}
		u.trim(u.model.end - 1)
		u.append(10)
		hold()
	}
	u.must(u.Engine.Remove(u.id))
	for _, h := range open {
		b, err := extentBytes(h.x)
		u.must(err)
		got := pieces(b)
		if len(got) == 0 || len(got) > len(h.want) {
			u.Fatalf("an extent of %d batches, want up to %d", len(got), len(h.want))
		}
		u.must(samePieces(got, h.want[:len(got)]))
		h.x.Release()
	}
}
