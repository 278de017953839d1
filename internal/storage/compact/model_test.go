package compact

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
)

// Random histories with transactions, tombstones, codecs and small key maps, compacted now and then: what is left is compared with a map of
// the latest committed record of each key (CMP-1, CMP-2, CMP-3, CMP-4).
func TestCompactionMatchesAMap(t *testing.T) {
	for range 40 {
		seed := seed.Of(t)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { walk(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func walk(t *testing.T, rng *rand.Rand) {
	h := newHistory(t)
	pol := Policy{DeleteRetention: time.Hour, SegmentBytes: 4000, MinDirtyRatio: rng.Float64() * 0.6}
	for range 150 {
		switch n := rng.IntN(20); {
		case n < 12:
			h.random(rng)
		case n < 14:
			p := kafka.ProducerID(1 + rng.IntN(3))
			if _, open := h.open[p]; open {
				h.finish(p, rng.IntN(2) == 0)
			}
		case n < 16:
			h.roll()
		case n < 18:
			h.now = h.now.Add(time.Duration(rng.IntN(90)) * time.Minute)
		case n < 19 && rng.IntN(4) == 0:
			p := kafka.ProducerID(1 + rng.IntN(3))
			if _, open := h.open[p]; !open {
				delete(h.last, p) // the producer expires
			}
		default:
			_, before, _ := h.contents()
			limits := Limits{KeyBytes: []int64{1, 1000, 0}[rng.IntN(3)]}
			if _, ok := h.compact(pol, limits); ok {
				h.compare(before)
			}
		}
	}
}

func (h *history) random(rng *rand.Rand) {
	h.Helper()
	o := record.PlainOptions()
	o.Codec = []record.Codec{record.None, record.None, record.LZ4, record.Gzip}[rng.IntN(4)]
	if rng.IntN(2) == 0 {
		o.ProducerID = kafka.ProducerID(1 + rng.IntN(3))
		_, o.Transactional = h.open[o.ProducerID]
		o.Transactional = o.Transactional || rng.IntN(2) == 0
	}
	var recs []record.Record
	for range 1 + rng.IntN(5) {
		s := string(rune('a' + rng.IntN(20)))
		switch rng.IntN(8) {
		case 0: // a tombstone
		case 1:
			s = "=no key"
		default:
			s += fmt.Sprintf("=%d", rng.IntN(1_000_000))
		}
		recs = append(recs, kv(s))
	}
	h.write(o, recs...)
}

// compare checks the log after a compaction. before is the batches before it.
func (h *history) compare(before []string) {
	h.Helper()
	cut := h.state.FirstDirty
	newest := map[string]*entry{} // the latest committed record of each key below the cut
	byOffset := map[kafka.Offset]*entry{}
	for i := range h.all {
		e := &h.all[i]
		byOffset[e.Offset] = e
		if e.Offset < cut && e.Key != nil && !e.aborted {
			newest[string(e.Key)] = e
		}
	}
	left := map[kafka.Offset]bool{}

	batches, raw, recs := h.contents()
	untouched := map[string]bool{}
	for _, b := range before {
		untouched[b] = true
	}
	next := kafka.Offset(0)
	for i, b := range batches {
		if b.BaseOffset < next {
			h.Fatalf("batch %d follows offset %d", b.BaseOffset, next)
		}
		next = b.NextOffset()
		if next > cut && !untouched[raw[i]] {
			h.Fatalf("batch %d above the cut %d changed (CMP-3)", b.BaseOffset, cut)
		}
		left[b.LastOffset()] = true
		if b.IsControl() {
			continue
		}
		for _, r := range recs[i] {
			e := byOffset[r.Offset]
			if e == nil || string(e.Key) != string(r.Key) || string(e.Value) != string(r.Value) || (e.Value == nil) != (r.Value == nil) || e.Timestamp != r.Timestamp {
				h.Fatalf("offset %d holds %q=%q, written was %+v (CMP-1)", r.Offset, r.Key, r.Value, e)
			}
			left[r.Offset] = true
			if r.Offset >= cut {
				continue
			}
			if e.aborted {
				h.Fatalf("aborted record %d is left below the cut %d", r.Offset, cut)
			}
			if r.Key == nil || newest[string(r.Key)] != e {
				h.Fatalf("record %d of key %q is left below the cut %d, the latest is %+v", r.Offset, r.Key, cut, newest[string(r.Key)])
			}
		}
	}
	if next != h.end && batches[len(batches)-1].NextOffset() != h.end {
		h.Fatalf("the log ends at %d, not at %d", next, h.end)
	}
	for key, e := range newest {
		switch {
		case left[e.Offset] && e.Value == nil && e.met.IsZero():
			e.met = h.now
		case left[e.Offset]:
		case e.Value != nil:
			h.Fatalf("the latest record of %q, at %d, is gone (CMP-2)", key, e.Offset)
		case e.met.IsZero() || h.now.Before(e.met.Add(time.Hour)):
			h.Fatalf("the tombstone of %q at %d, first met at %v, is gone at %v (CMP-2)", key, e.Offset, e.met, h.now)
		}
	}
	for i := range h.all {
		if e := &h.all[i]; e.Offset >= cut && !left[e.Offset] {
			h.Fatalf("record %d above the cut %d is gone (CMP-3)", e.Offset, cut)
		}
	}
	for _, m := range h.markers { // a marker is there while data of its transaction is (CMP-4)
		if left[m.at] {
			continue
		}
		for i := range h.all {
			if e := &h.all[i]; e.producer == m.producer && e.Offset >= m.first && e.Offset < m.at && left[e.Offset] && hasRecord(batches, recs, e.Offset) {
				h.Fatalf("marker %d is gone, record %d of its transaction is not", m.at, e.Offset)
			}
		}
	}
	for p, last := range h.last {
		if !left[last.Offset] {
			h.Fatalf("the last batch of active producer %d, at %d, is gone (CMP-4)", p, last.Offset)
		}
	}
}

// hasRecord reports whether the record at the offset is there, and not only the header of its batch.
func hasRecord(batches []record.Header, recs [][]record.Record, at kafka.Offset) bool {
	for i := range batches {
		for _, r := range recs[i] {
			if r.Offset == at {
				return true
			}
		}
	}
	return false
}

func BenchmarkKeyMap(b *testing.B) {
	m := newKeyMap(64<<20, 1<<20)
	key := make([]byte, 16)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		key[0], key[1], key[2] = byte(n), byte(n>>8), byte(n>>16)
		m.put(key, kafka.Offset(n))
		n++
	}
}
