package compact

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/memlog"
)

// history is a log with all that was ever written to it.
type history struct {
	testing.TB
	log     storage.Log
	seg     storage.Segmented
	now     time.Time
	all     []entry                 // every data record ever, in order
	bytes   map[kafka.Offset]string // of every batch as written, by base offset
	end     kafka.Offset
	aborted []AbortedTransaction
	open    map[kafka.ProducerID]kafka.Offset // first offset of open transactions
	last    map[kafka.ProducerID]LastRecord
	seq     map[kafka.ProducerID]kafka.Sequence
	markers []marker
	state   State
}

type entry struct {
	record.Record
	producer kafka.ProducerID
	aborted  bool
	met      time.Time // when compaction first passed a tombstone; zero: not yet
}

type marker struct {
	at, first kafka.Offset // of its transaction
	producer  kafka.ProducerID
}

var began = time.UnixMilli(1_700_000_000_000)

func newHistory(t testing.TB) *history {
	e, err := memlog.Open(memlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return newHistoryOver(t, e)
}

func newHistoryOver(t testing.TB, e storage.Engine) *history {
	h := &history{TB: t, now: began, bytes: map[kafka.Offset]string{}, open: map[kafka.ProducerID]kafka.Offset{},
		last: map[kafka.ProducerID]LastRecord{}, seq: map[kafka.ProducerID]kafka.Sequence{}}
	h.use(e)
	return h
}

// use opens the log in an engine.
func (h *history) use(e storage.Engine) {
	h.Helper()
	var err error
	h.log, err = e.Open(storage.ID{TopicPartition: kafka.TopicPartition{Topic: "t"}, TopicID: kafka.UUID{1}}, storage.Config{SegmentBytes: 2000})
	if err != nil {
		h.Fatal(err)
	}
	h.seg = h.log.(storage.Segmented)
	h.state.Aborted, h.state.Producers = h, h
}

func (h *history) AbortedTransactions(from, to kafka.Offset) ([]AbortedTransaction, error) {
	got := slices.Clone(h.aborted)
	got = slices.DeleteFunc(got, func(a AbortedTransaction) bool { return a.Last < from || a.First >= to })
	slices.SortFunc(got, func(a, b AbortedTransaction) int { return cmp.Compare(a.First, b.First) })
	return got, nil
}

func (h *history) LastRecord(p kafka.ProducerID) (LastRecord, bool) {
	l, ok := h.last[p]
	return l, ok
}

func (h *history) append(b []byte) {
	h.Helper()
	if _, err := h.log.Append(b); err != nil {
		h.Fatal(err)
	}
	for x, batch := range record.Batches(b).All() {
		h.bytes[x.BaseOffset] = string(batch)
		h.end = x.NextOffset()
	}
}

// kv is a record to be written: "key=value", "key=" with an empty value, "key" for a tombstone, "=value" without a key.
func kv(s string) record.Record {
	for i := range s {
		if s[i] == '=' {
			r := record.Record{Value: []byte(s[i+1:])}
			if i > 0 {
				r.Key = []byte(s[:i])
			}
			return r
		}
	}
	return record.Record{Key: []byte(s)}
}

// write appends one batch. producer 0: none; a transaction is open for others after begin.
func (h *history) write(o record.BatchOptions, recs ...record.Record) {
	h.Helper()
	o.BaseOffset = h.end
	for i := range recs {
		recs[i].Offset = h.end + kafka.Offset(i)
		if recs[i].Timestamp == 0 {
			recs[i].Timestamp = kafka.Timestamp(h.now.UnixMilli())
		}
	}
	if o.ProducerID != kafka.NoProducer {
		o.ProducerEpoch, o.BaseSequence = 1, h.seq[o.ProducerID]
		h.seq[o.ProducerID] = o.BaseSequence.Add(int32(len(recs)))
		h.last[o.ProducerID] = LastRecord{Offset: h.end + kafka.Offset(len(recs)) - 1, Epoch: 1}
		if o.Transactional {
			if _, open := h.open[o.ProducerID]; !open {
				h.open[o.ProducerID] = h.end
			}
		}
	}
	b, err := record.Build(nil, o, recs)
	if err != nil {
		h.Fatal(err)
	}
	for _, r := range recs {
		h.all = append(h.all, entry{Record: r, producer: o.ProducerID})
	}
	h.append(b)
}

func (h *history) plain(kvs ...string) {
	h.Helper()
	var recs []record.Record
	for _, s := range kvs {
		recs = append(recs, kv(s))
	}
	h.write(record.PlainOptions(), recs...)
}

func (h *history) inTxn(p kafka.ProducerID, kvs ...string) {
	h.Helper()
	o := record.PlainOptions()
	o.ProducerID, o.Transactional = p, true
	var recs []record.Record
	for _, s := range kvs {
		recs = append(recs, kv(s))
	}
	h.write(o, recs...)
}

// finish ends the producer's transaction.
func (h *history) finish(p kafka.ProducerID, commit bool) {
	h.Helper()
	first, ok := h.open[p]
	if !ok {
		first = h.end
	}
	delete(h.open, p)
	o := record.PlainOptions()
	o.BaseOffset, o.ProducerID, o.ProducerEpoch = h.end, p, 1
	b, err := record.BuildEndTxnMarker(nil, o, record.EndTxnMarker{Commit: commit}, kafka.Timestamp(h.now.UnixMilli()))
	if err != nil {
		h.Fatal(err)
	}
	if !commit && ok {
		h.aborted = append(h.aborted, AbortedTransaction{Producer: p, First: first, Last: h.end})
		for i := range h.all {
			if e := &h.all[i]; e.producer == p && e.Offset >= first {
				e.aborted = true
			}
		}
	}
	h.markers = append(h.markers, marker{at: h.end, first: first, producer: p})
	h.append(b)
}

func (h *history) roll() {
	h.Helper()
	if err := h.seg.Roll(); err != nil {
		h.Fatal(err)
	}
}

// stable is the last stable offset.
func (h *history) stable() kafka.Offset {
	at := h.end
	for _, first := range h.open {
		at = min(at, first)
	}
	return at
}

// compact plans and runs with everything replicated; it reports whether there was work.
func (h *history) compact(pol Policy, limits Limits) (Result, bool) {
	h.Helper()
	h.state.LogStart, h.state.HighWatermark, h.state.LastStable = h.log.Bounds().Start, h.end, h.stable()
	w, ok := Plan(h.seg.Segments(), h.state, pol, h.now)
	if !ok {
		return Result{}, false
	}
	res, err := Run(h.seg, w, h.state, pol, h.now, limits)
	if err != nil {
		h.Fatal(err)
	}
	if res.FirstDirty != w.To {
		h.Fatalf("compacted to %d of %+v", res.FirstDirty, w)
	}
	h.state.FirstDirty = res.FirstDirty
	h.aborted = slices.DeleteFunc(slices.Clone(h.aborted), func(a AbortedTransaction) bool { return slices.Contains(res.Vanished, a.Last) })
	return res, true
}

// contents is what the log holds: batches and their records.
func (h *history) contents() (batches []record.Header, raw []string, recs [][]record.Record) {
	h.Helper()
	at := h.log.Bounds().Start
	for {
		x, err := h.log.Read(at, storage.ReadLimit{MaxBytes: 1 << 20, Below: kafka.NoOffset})
		if err != nil {
			h.Fatal(err)
		}
		if x == nil {
			return batches, raw, recs
		}
		b, err := x.Bytes()
		if err != nil {
			h.Fatal(err)
		}
		for _, batch := range b.All() {
			head, err := record.Check(batch)
			if err != nil {
				h.Fatal(err)
			}
			var rs []record.Record
			for r, err := range record.Records(batch, 0) {
				if err != nil {
					h.Fatal(err)
				}
				rs = append(rs, r)
			}
			batches, raw, recs = append(batches, head), append(raw, string(batch)), append(recs, rs)
			at = head.NextOffset()
		}
		x.Release()
	}
}

// dump is the data records as offset:key=value, markers as offset:producer!, empty batches as [first-last].
func (h *history) dump() (lines []string) {
	h.Helper()
	batches, _, recs := h.contents()
	for i, b := range batches {
		if len(recs[i]) == 0 {
			lines = append(lines, fmt.Sprintf("[%d-%d]", b.BaseOffset, b.LastOffset()))
		}
		for _, r := range recs[i] {
			switch {
			case b.IsControl():
				lines = append(lines, fmt.Sprintf("%d:%d!", r.Offset, b.ProducerID))
			case r.Value == nil:
				lines = append(lines, fmt.Sprintf("%d:%s", r.Offset, r.Key))
			default:
				lines = append(lines, fmt.Sprintf("%d:%s=%s", r.Offset, r.Key, r.Value))
			}
		}
	}
	return lines
}

func (h *history) expect(want ...string) {
	h.Helper()
	if got := h.dump(); !slices.Equal(got, want) {
		h.Fatalf("the log holds\n%q, want\n%q", got, want)
	}
}
