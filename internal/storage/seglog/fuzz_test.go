package seglog

import (
	"testing"
)

func FuzzDecodeFrame(f *testing.F) {
	var fr frame
	fr.reset()
	fr.head(entryAppend, id("topic", 3), 3, 10, 7)
	fr.b = append(fr.b, 1, 2, 3)
	fr.head(entryForget, id("topic", 3), 0, 0, 0)
	fr.seal(42)
	f.Add(fr.b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, entries, size, ok := decodeFrame(b)
		if !ok {
			return
		}
		n := frameHeader
		for _, e := range entries {
			n += entryHeader + len(e.id.Topic) + len(e.data)
		}
		if n != size || size > len(b) {
			t.Fatalf("entries take %d bytes of a frame of %d in %d", n, size, len(b))
		}
	})
}

func FuzzDecodeIndex(f *testing.F) {
	x := index{offsets: []offsetEntry{{3, 100}, {9, 5000}}, times: []timeEntry{{1000, 3}, {2000, 9}}}
	f.Add(x.encodeOffsets(), x.encodeTimes(), int64(6000))
	f.Add(make([]byte, 80), make([]byte, 120), int64(1))
	f.Fuzz(func(t *testing.T, offsets, times []byte, size int64) {
		x, ok := decodeIndex(offsets, times, size)
		if !ok {
			return
		}
		for i := 1; i < len(x.offsets); i++ {
			if x.offsets[i].rel <= x.offsets[i-1].rel || x.offsets[i].pos <= x.offsets[i-1].pos {
				t.Fatal("offsets do not rise")
			}
		}
		for _, e := range x.offsets {
			if p := x.floor(int64(e.rel)); p > int64(e.pos) || p >= max(size, 1) {
				t.Fatalf("floor(%d) = %d", e.rel, p)
			}
		}
		for _, e := range x.times {
			x.floorTime(e.ts)
		}
	})
}

func FuzzDecodeCheckpoints(f *testing.F) {
	c := checkpoint{valid: true, base: 5, pos: 100, next: 9, size: 400, max: timeEntry{77, 3}, anyMax: true}
	b := appendCheckpoint(make([]byte, 12), id("topic", 1), &c)
	f.Add(sealCheckpoints(b, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		known, ok := decodeCheckpoints(b)
		if !ok {
			return
		}
		out := make([]byte, 12)
		for id, c := range known {
			if !c.valid || c.next < c.base {
				t.Fatalf("%+v", c)
			}
			out = appendCheckpoint(out, id, &c)
		}
		again, ok := decodeCheckpoints(sealCheckpoints(out, len(known)))
		if !ok || len(again) != len(known) {
			t.Fatal("what was decoded does not encode again")
		}
	})
}

func FuzzSidecarAndNames(f *testing.F) {
	f.Add("00000000000000000005.00000000000000000009.swap")
	f.Fuzz(func(t *testing.T, name string) {
		if from, to, ok := parseSwapName(name); ok && (from < 0 || to <= from) {
			t.Fatalf("%q: [%d, %d)", name, from, to)
		}
		if b, ok := parseFileName(name, logSuffix); ok && fileName(b, logSuffix) != name {
			t.Fatalf("%q is the name of offset %d", name, b)
		}
	})
}
