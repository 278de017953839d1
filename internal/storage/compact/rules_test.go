package compact

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

var latest = Policy{MinDirtyRatio: 0, DeleteRetention: time.Hour, SegmentBytes: 1 << 20}

// The latest of each key stays at its offset, in order; records without a key go; the last batch of all stays as a header (CMP-1, CMP-2).
func TestLatestOfEachKeySurvives(t *testing.T) {
	h := newHistory(t)
	h.plain("a=1", "b=1", "=nokey")
	h.plain("a=2")
	h.roll()
	h.plain("c=1", "a=3")
	h.plain("b=2")
	h.plain("=last")
	h.roll()
	h.plain("b=active")
	if _, ok := h.compact(latest, Limits{}); !ok {
		t.Fatal("nothing to do")
	}
	h.expect("4:c=1", "5:a=3", "6:b=2", "[7-7]", "8:b=active")
	if segs := h.seg.Segments(); len(segs) != 2 || segs[0].Base != 0 || segs[0].Next != 8 {
		t.Fatalf("small segments were not joined: %+v", segs)
	}
	if _, ok := h.compact(latest, Limits{}); ok {
		t.Fatal("clean, and still there is work")
	}
}

// A batch that loses records keeps its first and last offset, its producer, sequence, epoch, codec and times (CMP-1, CMP-4).
func TestShrunkBatchKeepsItsFrame(t *testing.T) {
	h := newHistory(t)
	o := record.PlainOptions()
	o.ProducerID, o.Codec, o.LeaderEpoch = 7, record.Zstd, 3
	recs := []record.Record{kv("x=1"), kv("a=1"), kv("x=2")}
	recs[1].Timestamp = 12345
	recs[1].Headers = []record.RecordHeader{{Key: "k", Value: []byte("v")}, {Key: "null"}}
	h.write(o, recs...)
	h.plain("x=3")
	h.roll()
	h.compact(latest, Limits{})
	batches, _, got := h.contents()
	b := batches[0]
	if b.BaseOffset != 0 || b.LastOffset() != 2 || b.ProducerID != 7 || b.BaseSequence != 0 || b.LastSequence() != 2 || b.ProducerEpoch != 1 ||
		b.LeaderEpoch != 3 || b.Codec() != record.Zstd || b.MaxTimestamp != 12345 || b.Records != 1 {
		t.Errorf("%+v", b)
	}
	r := got[0][0]
	if r.Offset != 1 || string(r.Key) != "a" || string(r.Value) != "1" || r.Timestamp != 12345 || len(r.Headers) != 2 || r.Headers[1].Value != nil {
		t.Errorf("%+v", r)
	}
}

// A tombstone displaces at once, stays for the retention after it was first met, and then goes (CMP-2, KIP-534). Its own time does not count:
// it was written long before.
func TestTombstoneLivesForItsRetention(t *testing.T) {
	h := newHistory(t)
	h.plain("a=1")
	h.plain("a", "b=1")
	h.roll()
	h.now = h.now.Add(1000 * time.Hour)
	h.compact(latest, Limits{})
	h.expect("1:a", "2:b=1")
	batches, _, recs := h.contents()
	if !batches[0].HasDeleteHorizon() || batches[0].BaseTimestamp != kafka.Timestamp(h.now.Add(time.Hour).UnixMilli()) {
		t.Fatalf("horizon %+v", batches[0])
	}
	if recs[0][1].Timestamp != kafka.Timestamp(began.UnixMilli()) || batches[0].MaxTimestamp != recs[0][1].Timestamp {
		t.Fatalf("the horizon moved a record's time: %+v", recs[0][1])
	}
	h.now = h.now.Add(time.Hour - time.Millisecond)
	h.plain("z=1")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("1:a", "2:b=1", "3:z=1")
	h.now = h.now.Add(time.Millisecond)
	h.plain("z=2")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("2:b=1", "4:z=2")
}

// A key written again after its tombstone lives.
func TestKeyRevivesAfterTombstone(t *testing.T) {
	h := newHistory(t)
	h.plain("a=1")
	h.plain("a")
	h.plain("a=2")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("2:a=2")
}

// Nothing at or above the high watermark, the last stable offset or the active segment is touched; segments are taken whole (CMP-3).
func TestCutIsRespected(t *testing.T) {
	h := newHistory(t)
	for range 4 {
		h.plain("a=1", "a=2")
		h.roll()
	}
	segs := h.seg.Segments()
	for _, c := range []struct{ hw, lso, to kafka.Offset }{{8, 8, 8}, {7, 8, 6}, {8, 5, 4}, {1, 8, 0}, {8, 0, 0}} {
		w, ok := Plan(segs, State{HighWatermark: c.hw, LastStable: c.lso}, latest, h.now)
		if ok != (c.to > 0) || w.To != c.to {
			t.Errorf("watermark %d, stable %d: to %d, %v; want %d", c.hw, c.lso, w.To, ok, c.to)
		}
	}
	// Run keeps to the state too, whatever the work says.
	st := State{HighWatermark: 5, LastStable: 8}
	if _, err := Run(h.seg, Work{To: 8}, st, latest, h.now, Limits{}); err != nil {
		t.Fatal(err)
	}
	h.expect("3:a=2", "4:a=1", "5:a=2", "6:a=1", "7:a=2")
}

// Kafka's rules for when: the ratio must be passed; what is younger than min lag waits, with all behind it; what is older than max lag does
// not wait for the ratio; a checkpoint from another life counts for nothing.
func TestPlanFollowsRatioAndLags(t *testing.T) {
	now := began
	ms := func(d time.Duration) kafka.Timestamp { return kafka.Timestamp(now.Add(-d).UnixMilli()) }
	seg := func(base, next kafka.Offset, bytes int64, age time.Duration) storage.SegmentInfo {
		return storage.SegmentInfo{Base: base, Next: next, Bytes: bytes, MaxTimestamp: ms(age), Created: now.Add(-age)}
	}
	segs := []storage.SegmentInfo{seg(0, 10, 100, 9*time.Hour), seg(10, 20, 60, 3*time.Hour), seg(20, 30, 40, time.Hour), seg(30, 31, 999, 0)}
	segs[3].Active = true
	all := State{HighWatermark: 31, LastStable: 31}
	with := func(first kafka.Offset) State { s := all; s.FirstDirty = first; return s }
	for name, c := range map[string]struct {
		st    State
		pol   Policy
		dirty kafka.Offset
		to    kafka.Offset
		want  bool
	}{
		"half is dirty, not more":       {with(10), Policy{MinDirtyRatio: 0.5}, 10, 30, false},
		"more than half":                {with(10), Policy{MinDirtyRatio: 0.49}, 10, 30, true},
		"never compacted":               {with(0), Policy{MinDirtyRatio: 0.9}, 0, 30, true},
		"clean":                         {with(30), Policy{}, 30, 30, false},
		"beyond the end":                {with(99), Policy{MinDirtyRatio: 0.9}, 0, 30, true},
		"before the start":              {State{HighWatermark: 31, LastStable: 31, LogStart: 5, FirstDirty: 3}, Policy{}, 0, 30, true},
		"younger than min lag waits":    {with(10), Policy{MinLag: 2 * time.Hour}, 10, 20, true},
		"all too young":                 {with(10), Policy{MinLag: 5 * time.Hour}, 10, 10, false},
		"older than max lag":            {with(10), Policy{MinDirtyRatio: 1, MaxLag: 2 * time.Hour}, 10, 30, true},
		"younger than max lag":          {with(20), Policy{MinDirtyRatio: 1, MaxLag: 2 * time.Hour}, 20, 30, false},
		"a window ignores the ratio":    {with(0), Policy{Strategy: TimeWindow, Window: 10 * time.Hour}, 0, 30, false},
		"a window left a segment":       {with(30), Policy{Strategy: TimeWindow, Window: 8 * time.Hour, MinDirtyRatio: 1}, 30, 30, true},
		"hybrid looks at the ratio too": {with(10), Policy{Strategy: Hybrid, Window: 10 * time.Hour}, 10, 30, true},
	} {
		w, ok := Plan(segs, c.st, c.pol, now)
		if ok != c.want || w.To != c.to || w.Dirty != c.dirty {
			t.Errorf("%s: %+v, %v", name, w, ok)
		}
	}
	if _, ok := Plan(nil, all, Policy{}, now); ok {
		t.Error("no segments, and work")
	}
}

// An aborted transaction's records go at once; its marker stays until they are gone, then for its horizon, then goes (CMP-4, C3). A
// committed transaction's marker stays while any record of it does.
func TestMarkersOutliveTheirData(t *testing.T) {
	h := newHistory(t)
	h.inTxn(1, "a=aborted")
	h.finish(1, false)
	h.inTxn(2, "a=1", "b=1")
	h.finish(2, true)
	delete(h.last, 1)
	delete(h.last, 2) // expired, so that only the transactions keep anything
	h.plain("z=1")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("1:1!", "2:a=1", "3:b=1", "4:2!", "5:z=1")
	h.plain("b=2")
	h.roll()
	h.compact(latest, Limits{}) // no data of the aborted transaction was met: its marker has a horizon now
	h.expect("1:1!", "2:a=1", "4:2!", "5:z=1", "6:b=2")
	h.now = h.now.Add(time.Hour)
	h.plain("a=2")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("4:2!", "5:z=1", "6:b=2", "7:a=2")
	h.plain("z=2")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("4:2!", "6:b=2", "7:a=2", "8:z=2")
	h.now = h.now.Add(time.Hour)
	h.plain("z=3")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("6:b=2", "7:a=2", "9:z=3")
}

// As long as readers are told that a transaction was aborted its marker stays: without it the producer's next one would be taken for a part
// of it (CMP-4).
func TestAbortMarkerStaysWhileReadersAreTold(t *testing.T) {
	h := newHistory(t)
	h.inTxn(1, "a=aborted")
	h.finish(1, false)
	delete(h.last, 1) // expired
	told := h.aborted
	for range 4 {
		h.plain("z=1")
		h.roll()
		h.aborted = told // a crash has forgotten that it was forgotten
		h.compact(latest, Limits{})
		h.now = h.now.Add(2 * time.Hour)
	}
	h.expect("1:1!", "5:z=1")
	h.plain("z=2")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("6:z=2")
}

// An aborted value does not displace the committed one below it (CMP-2).
func TestAbortedRecordsDisplaceNothing(t *testing.T) {
	h := newHistory(t)
	h.plain("a=good")
	h.inTxn(1, "a=bad")
	h.roll()
	h.finish(1, false)
	h.roll()
	h.inTxn(1, "b=good")
	h.finish(1, true)
	h.roll()
	h.compact(latest, Limits{})
	h.expect("0:a=good", "2:1!", "3:b=good", "4:1!")
	// The same when the transaction ended before the dirty part begins.
	h.inTxn(1, "b=better")
	h.finish(1, true)
	h.roll()
	h.compact(latest, Limits{})
	h.expect("0:a=good", "2:1!", "4:1!", "5:b=better", "6:1!")
}

// The last batch of an active producer stays as a header, with its sequence; a producer that wrote only a marker keeps that (CMP-4).
func TestActiveProducersKeepTheirLastBatch(t *testing.T) {
	h := newHistory(t)
	o := record.PlainOptions()
	o.ProducerID = 9
	h.write(o, kv("a=1"))
	h.write(o, kv("a=2"), kv("b=1"))
	h.plain("a=3")
	h.plain("b=2")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("[1-2]", "3:a=3", "4:b=2")
	batches, _, _ := h.contents()
	if b := batches[0]; b.ProducerID != 9 || b.BaseSequence != 1 || b.LastSequence() != 2 || b.ProducerEpoch != 1 {
		t.Errorf("%+v", b)
	}
	delete(h.last, 9)
	h.plain("c=1")
	h.roll()
	h.compact(latest, Limits{})
	h.expect("3:a=3", "4:b=2", "5:c=1")

	h = newHistory(t)
	h.finish(5, false) // a marker without data: a transaction elsewhere
	h.last[5] = LastRecord{Offset: kafka.NoOffset, Epoch: 1}
	for range 3 {
		h.plain("a=1")
		h.roll()
		h.compact(latest, Limits{})
		h.now = h.now.Add(2 * time.Hour)
	}
	h.expect("[0-0]", "3:a=1")
}

// A map with room for a few keys makes several passes, with the same outcome.
func TestSmallKeyMapMakesMorePasses(t *testing.T) {
	var dumps [2][]string
	for i, limits := range []Limits{{}, {KeyBytes: 1}} {
		h := newHistory(t)
		for n := range 400 {
			h.plain(string(rune('a'+n*7%60))+"=x", string(rune('a'+n*11%60))+"=y")
		}
		h.roll()
		res, _ := h.compact(Policy{DeleteRetention: time.Hour, SegmentBytes: 2000}, limits)
		if (res.Passes > 1) != (i == 1) {
			t.Errorf("%d passes", res.Passes)
		}
		for _, line := range h.dump() { // which headers stay differs
			if line[0] != '[' {
				dumps[i] = append(dumps[i], line)
			}
		}
	}
	if !slices.Equal(dumps[0], dumps[1]) {
		t.Errorf("one pass leaves %q, several %q", dumps[0], dumps[1])
	}
}

// PROMISES: time_window drops what is older than the window and looks at no key; hybrid does so and keeps the latest of each key in what is
// left, even if a later record of the key has an older time and so was dropped.
func TestWindowStrategies(t *testing.T) {
	fill := func() *history {
		h := newHistory(t)
		at := func(age time.Duration, s string) record.Record {
			r := kv(s)
			r.Timestamp = kafka.Timestamp(began.Add(-age).UnixMilli())
			return r
		}
		h.write(record.PlainOptions(), at(3*time.Hour, "a=old"), at(3*time.Hour, "=old"))
		h.write(record.PlainOptions(), at(time.Minute, "a=new"), at(time.Minute, "=new"))
		h.write(record.PlainOptions(), at(time.Minute, "b=new"), at(2*time.Hour, "b=late"))
		h.write(record.PlainOptions(), at(0, "a=newest"))
		h.roll()
		return h
	}
	for s, want := range map[Strategy][]string{
		TimeWindow: {"2:a=new", "3:=new", "4:b=new", "6:a=newest"},
		Hybrid:     {"4:b=new", "6:a=newest"},
		KeepLatest: {"5:b=late", "6:a=newest"},
	} {
		h := fill()
		pol := latest
		pol.Strategy, pol.Window = s, time.Hour
		w, _ := Plan(h.seg.Segments(), State{HighWatermark: h.end, LastStable: h.end}, pol, h.now)
		if _, err := Run(h.seg, w, State{HighWatermark: h.end, LastStable: h.end}, pol, h.now, Limits{}); err != nil {
			t.Fatal(err)
		}
		if got := h.dump(); !slices.Equal(got, want) {
			t.Errorf("%s leaves %q, want %q", s, got, want)
		}
	}
	for _, s := range []Strategy{KeepLatest, TimeWindow, Hybrid} {
		if got, err := ParseStrategy(s.String()); got != s || err != nil {
			t.Error(s, got, err)
		}
	}
	if _, err := ParseStrategy("newest"); kafka.CodeOf(err) != kafka.InvalidConfig {
		t.Error(err)
	}
}

// A segment with nothing to remove is left as it is.
func TestUnchangedSegmentsAreNotReplaced(t *testing.T) {
	h := newHistory(t)
	pol := latest
	pol.SegmentBytes = 1
	h.plain("a=1")
	h.roll()
	h.plain("b=1")
	h.roll()
	h.plain("b=2")
	h.roll()
	res, _ := h.compact(pol, Limits{})
	if res.Replaced != 1 || res.RecordsRead != 3 || res.RecordsKept != 2 {
		t.Errorf("%+v", res)
	}
}

// A damaged batch ends the run with Kafka's code, and so does whoever paces it; what is there stays.
func TestDamageEndsTheRun(t *testing.T) {
	h := newHistory(t)
	h.plain("a=1")
	bad := []byte(h.bytes[0])
	record.Stamp(bad, 1, 0)
	bad[len(bad)-1] ^= 1
	if _, err := h.log.Append(bad); err != nil {
		t.Fatal(err)
	}
	h.roll()
	st := State{HighWatermark: 2, LastStable: 2}
	_, err := Run(h.seg, Work{To: 2}, st, latest, h.now, Limits{})
	if kafka.CodeOf(err) != kafka.CorruptMessage {
		t.Errorf("%v", err)
	}
	stop := errors.New("stop")
	if _, err := Run(h.seg, Work{To: 2}, st, latest, h.now, Limits{Pace: func(int) error { return stop }}); !errors.Is(err, stop) && kafka.CodeOf(err) != kafka.CorruptMessage {
		t.Errorf("%v", err)
	}
}
