package compact

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Limits bound a run; zero values mean the defaults in brackets.
type Limits struct {
	// KeyBytes is the memory for the map of keys, 32 bytes per key that is remembered at a time. Too little makes more passes. [128 MiB]
	KeyBytes int64
	// MaxDecompressed caps the records of one batch decompressed, in bytes. [record.DefaultMaxDecompressed]
	MaxDecompressed int
	// Pace is told of bytes read or written. It may wait, and an error from it ends the run; what was replaced until then stays replaced.
	// [nothing]
	Pace func(bytes int) error
}

// Result is what a run did. It counts also if Run ends with an error.
type Result struct {
	FirstDirty               kafka.Offset // to be remembered, for State of the next time
	Passes                   int
	RecordsRead, RecordsKept int64 // of all passes
	BytesRead, BytesWritten  int64 // of batches filtered, and what came out
	Replaced                 int   // groups of segments that were replaced; the others had nothing to remove

	// Vanished are the abort markers, in order, of transactions that State.Aborted told and of which no data is left. To be forgotten
	// there, also across a restart, before the next run.
	Vanished []kafka.Offset
}

// run is the state of one Run.
type run struct {
	log    storage.Segmented
	st     State
	pol    Policy
	limits Limits
	nowMs  kafka.Timestamp
	window kafka.Timestamp
	keys   *keyMap
	result Result
}

// Run compacts what Plan found. It reads segments and replaces them one group after another, so that it can end between any two of them; a
// pass that was begun anew finds less to remove. It needs that nothing but it replaces or truncates segments below work.To meanwhile;
// trimming and appending may go on. A damaged batch is an error with kafka.CorruptMessage: such a log should be left alone.
func Run(log storage.Segmented, work Work, st State, pol Policy, now time.Time, limits Limits) (Result, error) {
	if limits.KeyBytes <= 0 {
		limits.KeyBytes = 128 << 20
	}
	r := &run{log: log, st: st, pol: pol, limits: limits, nowMs: kafka.Timestamp(now.UnixMilli()), window: pol.windowStart(now)}
	r.result.FirstDirty = work.Dirty
	if pol.byKey() {
		r.keys = newKeyMap(limits.KeyBytes, int64(work.To-work.Dirty))
	}
	for {
		done, err := r.pass(work)
		if err != nil {
			return r.result, fmt.Errorf("compact offsets %d to %d: %w", work.From, work.To, err)
		}
		if done {
			return r.result, nil
		}
	}
}

// pass fills the map of keys from the first dirty offset and filters everything below where the map ends. It reports whether that was
// the end of the work.
func (r *run) pass(work Work) (done bool, err error) {
	segs := r.segments(work)
	if len(segs) == 0 { // trimmed meanwhile
		return true, nil
	}
	r.result.Passes++
	r.result.Vanished = r.result.Vanished[:0] // this pass meets them again
	last := segs[len(segs)-1].Next
	upto := last
	if r.keys != nil {
		if upto, err = r.index(segs, max(r.result.FirstDirty, segs[0].Base)); err != nil {
			return false, err
		}
	}
	txns, err := r.transactions(segs)
	if err != nil {
		return false, err
	}
	f := &filter{run: r, txns: txns, upto: upto, last: last}
	for len(segs) > 0 && segs[0].Base < upto {
		n := r.group(segs, upto)
		if err := r.replace(f, segs[:n]); err != nil {
			return false, err
		}
		segs = segs[n:]
	}
	r.result.FirstDirty = upto
	return upto >= last, nil
}

// segments lists what there is of the work now.
func (r *run) segments(work Work) []storage.SegmentInfo {
	segs := eligible(r.log.Segments(), &r.st)
	for len(segs) > 0 && segs[0].Base < work.From {
		segs = segs[1:]
	}
	for n := len(segs); n > 0 && segs[n-1].Next > work.To; n-- {
		segs = segs[:n-1]
	}
	return segs
}

// leftWindow reports whether the record is older than the window. One without a timestamp is not.
func (r *run) leftWindow(rec *record.Record) bool {
	return r.window != kafka.NoTimestamp && rec.Timestamp != kafka.NoTimestamp && rec.Timestamp < r.window
}

func (r *run) transactions(segs []storage.SegmentInfo) (t *transactions, err error) {
	t = &transactions{aborted: map[kafka.ProducerID]*doomed{}, committed: map[kafka.ProducerID]bool{}}
	if r.st.Aborted != nil {
		t.ahead, err = r.st.Aborted.AbortedTransactions(segs[0].Base, segs[len(segs)-1].Next)
	}
	return t, err
}

// group is how many segments become one: as many as were not larger than segment.bytes together before, below upto, and whose offsets fit
// into an index's 31 bits.
func (r *run) group(segs []storage.SegmentInfo, upto kafka.Offset) int {
	n, bytes := 1, segs[0].Bytes
	for n < len(segs) && segs[n].Base < upto && bytes+segs[n].Bytes <= r.pol.SegmentBytes && segs[n].Next-segs[0].Base <= math.MaxInt32 {
		bytes += segs[n].Bytes
		n++
	}
	return n
}

// errUnchanged makes the engine drop what was written: a segment that stays as it is need not be replaced.
var errUnchanged = errors.New("nothing was removed")

// outBytes is how much is collected before it goes to the engine.
const outBytes = 1 << 20

// replace filters a group of segments into one.
func (r *run) replace(f *filter, group []storage.SegmentInfo) error {
	changed := len(group) > 1
	before := r.result
	err := r.log.ReplaceSegments(group[0].Base, group[len(group)-1].Next, func(sink func(record.Batches) error) error {
		flush := func() error {
			if len(f.out) == 0 {
				return nil
			}
			r.result.BytesWritten += int64(len(f.out))
			err := sink(f.out)
			if err == nil {
				err = r.pace(len(f.out))
			}
			f.out = f.out[:0]
			return err
		}
		for i := range group {
			err := r.log.ReadSegment(group[i].Base, func(b record.Batches) error {
				r.result.BytesRead += int64(len(b))
				return r.each(b, func(h *record.Header, batch []byte) error {
					unchanged, err := f.batch(h, batch)
					if err != nil {
						return err
					}
					changed = changed || !unchanged
					if len(f.out) < outBytes {
						return nil
					}
					return flush()
				})
			})
			if err != nil {
				return err
			}
		}
		if !changed {
			f.out = f.out[:0]
			return errUnchanged
		}
		return flush()
	})
	if errors.Is(err, errUnchanged) {
		r.result.BytesWritten = before.BytesWritten
		return nil
	}
	if err == nil {
		r.result.Replaced++
	}
	return err
}

// each checks the batches and visits them.
func (r *run) each(b record.Batches, visit func(h *record.Header, batch []byte) error) error {
	size := 0
	for _, batch := range b.All() {
		h, err := record.Check(batch)
		if err != nil {
			return err
		}
		if err := visit(&h, batch); err != nil {
			return err
		}
		size += len(batch)
	}
	if size != len(b) {
		return kafka.Errorf(kafka.CorruptMessage, "%d bytes of a segment, of which %d are whole batches", len(b), size)
	}
	return r.pace(size)
}

func (r *run) pace(n int) error {
	if r.limits.Pace == nil {
		return nil
	}
	return r.limits.Pace(n)
}
