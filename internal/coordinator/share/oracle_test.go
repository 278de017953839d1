package share

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// A naive oracle: one struct per offset, every rule written as a loop over all of them. It does not foretell which records an Acquire takes; it
// knows which it may take, and that Next may say "nothing" only if it may take none.

type oracleRecord struct {
	key       uint64
	notBefore int64
	isGone    bool // control batch, aborted, compacted
	isKnown   bool // the Partition has seen it

	state    RecordState
	count    int16
	member   string
	deadline time.Time
	due      time.Time // back-off
	pending  Ticket
	target   RecordState
	reason   Reason
	isTold   bool

	deliveries int  // ever, over restarts
	isFinal    bool // accepted or archived, and the write confirmed
}

type oracle struct {
	t        *testing.T
	rng      *rand.Rand
	settings Settings
	p        *Partition
	now      time.Time
	log      []oracleRecord
	batches  []Batch // of the log: First, Last, IsGone, whole
	logStart kafka.Offset
	start    kafka.Offset
	known    kafka.Offset // end of what the Partition has seen
	inFlight Write        // under way, if its ticket is not 0
	w        Write
	durable  State
	isUnsure bool // the answer to a write got lost
	trace    []string
}

func (o *oracle) note(format string, args ...any) {
	o.trace = append(o.trace, fmt.Sprintf("%v ", o.now.Sub(epoch))+fmt.Sprintf(format, args...))
	if len(o.trace) > 80 {
		o.trace = o.trace[1:]
	}
}

func (o *oracle) fail(format string, args ...any) {
	o.t.Helper()
	for _, line := range o.trace {
		o.t.Log(line)
	}
	o.t.Fatalf(format, args...)
}

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func (o *oracle) at(off kafka.Offset) *oracleRecord { return &o.log[off] }

func (o *oracle) end() kafka.Offset { return kafka.Offset(len(o.log)) }

// expireLocks is what time does.
func (o *oracle) expireLocks() {
	for i := range o.log {
		if r := &o.log[i]; r.state == Acquired && r.pending == 0 && !o.now.Before(r.deadline) {
			o.back(r)
		}
	}
	o.settle()
}

// back makes a record available again, or archives it.
func (o *oracle) back(r *oracleRecord) {
	r.member, r.pending = "", 0
	if int(r.count) >= o.settings.DeliveryLimit {
		r.state, r.reason = o.archived(), UsedUp
		return
	}
	r.state = Available
	if d := float64(o.settings.RetryBackoff); d > 0 {
		for i := int16(1); i < r.count; i++ {
			d *= o.settings.RetryMultiple
		}
		r.due = o.now.Add(min(time.Duration(d), o.settings.RetryMax))
	}
}

func (o *oracle) archived() RecordState {
	if o.settings.DeadLetter {
		return Archiving
	}
	return Archived
}

func (o *oracle) settle() {
	for o.start < o.known && o.at(o.start).state.isDone() {
		o.start++
	}
}

// mayDeliver: the rules SHR-2, key order, times, back-off.
func (o *oracle) mayDeliver(off kafka.Offset) bool {
	r := o.at(off)
	if off < o.start || r.state != Available || r.isGone {
		return false
	}
	if r.count == 0 && r.notBefore > o.now.UnixMilli() || r.count > 0 && r.due.After(o.now) {
		return false
	}
	return !o.isBehindKey(off)
}

func (o *oracle) isBehindKey(off kafka.Offset) bool {
	if k := o.at(off).key; o.settings.KeyOrdering && k != 0 {
		for i := o.start; i < off; i++ {
			if r := o.at(i); r.key == k && !r.isGone && !r.state.isDone() {
				return true
			}
		}
	}
	return false
}

func (o *oracle) locks() (n int) {
	for i := o.start; i < o.known; i++ {
		if r := o.at(i); !r.state.isDone() && (r.count > 0 || r.state == Archiving) {
			n++
		}
	}
	return n
}

// checkNothingLeft: Next said no.
func (o *oracle) checkNothingLeft(locks int) {
	_, below := o.p.roomForFresh(o.p.at(o.now))
	for off := o.start; off < o.known; off++ {
		if r := o.at(off); o.mayDeliver(off) && (r.count > 0 || locks < o.settings.MaxLocks && off < below) {
			o.fail("nothing to acquire, but offset %d is: %+v, %d locks", off, *r, locks)
		}
	}
	if o.known < min(o.end(), below) && locks < o.settings.MaxLocks && o.p.tracked < o.settings.MaxWindow {
		o.fail("nothing to acquire, but the log goes on from %d to %d", o.known, o.end())
	}
}

// checkWrite: the start and the count of done records are as they will be when the write is durable.
func (o *oracle) checkWrite() {
	after := func(off kafka.Offset) bool {
		r := o.at(off)
		return r.state.isDone() || r.pending != 0 && r.target.isDone()
	}
	start := o.start
	for start < o.known && after(start) {
		start++
	}
	done := int32(0)
	for off := start; off < o.end(); off++ {
		if after(off) {
			done++
		}
	}
	if w := o.inFlight; w.StartOffset != start || w.DeliveryComplete != done {
		o.fail("write %+v, want start %d and %d done", w, start, done)
	}
}

// checkDurable: nothing is left to write and no answer got lost, so what is durable is what is so.
func (o *oracle) checkDurable() {
	per := map[kafka.Offset]StateBatch{}
	for _, b := range o.durable.Batches {
		for off := b.First; off <= b.Last; off++ {
			per[off] = b
		}
	}
	for off := o.start; off < o.known; off++ {
		r, b := o.at(off), per[off]
		want, count := r.state, r.count
		if r.state == Acquired {
			want, count = Available, r.count-1
		}
		if off < o.durable.StartOffset || r.isGone || r.pending != 0 || want == Archived && count == 0 {
			continue
		}
		if b.State != want || b.Count != count {
			o.fail("offset %d is durable as %v x%d, but it is %+v", off, b.State, b.Count, *r)
		}
	}
}

// hasEnded reports whether the Partition has ended the lock of a record already: it does so when it is asked, not when time passes.
func (o *oracle) hasEnded(off kafka.Offset) bool {
	ended := true
	for w := o.p.walk(off, off); ; {
		r, ok := w.next()
		if !ok {
			return ended
		}
		ended = r.s.state != Acquired
	}
}

// fold is what the share coordinator keeps, the slow way.
func fold(st State, w Write) State {
	per := map[kafka.Offset]StateBatch{}
	for _, bs := range [][]StateBatch{st.Batches, w.Batches} {
		for _, b := range bs {
			for off := b.First; off <= b.Last; off++ {
				if had, ok := per[off]; !ok || b.Count > had.Count || b.Count == had.Count && b.State > had.State {
					per[off] = StateBatch{off, off, b.State, b.Count}
				}
			}
		}
	}
	st.StartOffset, st.Batches = max(st.StartOffset, w.StartOffset), nil
	var offs []kafka.Offset
	for off := range per {
		if off >= st.StartOffset {
			offs = append(offs, off)
		}
	}
	slices.Sort(offs)
	for _, off := range offs {
		st.Batches = addBatch(st.Batches, per[off])
	}
	return st
}

// check compares everything.
func (o *oracle) check() {
	if o.p.Start() != o.start || o.p.End() != o.known { // SHR-4
		o.fail("start %d end %d, want %d and %d", o.p.Start(), o.p.End(), o.start, o.known)
	}
	at := o.start
	keys := map[uint64]kafka.Offset{}
	done, locks := 0, 0
	o.p.Each(func(b StateBatch, member string) bool {
		if b.First != at { // SHR-1
			o.fail("state goes on at %d, want %d", b.First, at)
		}
		for off := b.First; off <= b.Last; off++ {
			r := o.at(off)
			if r.state != b.State || r.count != b.Count || r.member != member {
				o.fail("offset %d is %v x%d %q, want %+v", off, b.State, b.Count, member, *r)
			}
			if b.State == Acquired && r.key != 0 && o.settings.KeyOrdering {
				if other, ok := keys[r.key]; ok {
					o.fail("offsets %d and %d of one key are in flight at once", other, off)
				}
				keys[r.key] = off
			}
			if b.State.isDone() {
				done++
			} else if b.Count > 0 || b.State == Archiving {
				locks++
			}
		}
		at = b.Last + 1
		return true
	})
	if at != o.known {
		o.fail("state ends at %d, want %d", at, o.known)
	}
	for off := o.known; off < o.end(); off++ {
		if o.at(off).state.isDone() {
			done++
		}
	}
	o.checkStats(done, locks)
}

// checkStats: what the Partition counts is what there is, and it wakes when something becomes possible.
func (o *oracle) checkStats(done, locks int) {
	ready, waiting, acquired := 0, 0, 0
	var wake time.Time
	at := func(t time.Time) {
		if wake.IsZero() || t.Before(wake) {
			wake = t
		}
	}
	for off := o.start; off < o.known; off++ {
		switch r := o.at(off); {
		case r.state == Acquired:
			if acquired++; r.pending == 0 {
				at(r.deadline)
			}
		case o.mayDeliver(off):
			ready++
		case r.state == Available:
			if waiting++; !o.isBehindKey(off) {
				if r.count == 0 {
					at(time.UnixMilli(r.notBefore))
				} else {
					at(r.due)
				}
			}
		}
	}
	s := o.p.Stats(o.now)
	if s.Done != done || s.InFlight != locks || s.Ready != ready || s.Waiting != waiting || s.Acquired != acquired {
		o.fail("stats %+v, want %d done, %d in flight, %d ready, %d waiting, %d acquired", s, done, locks, ready, waiting, acquired)
	}
	if got := o.p.NextWake(o.now); !wake.IsZero() && (got.IsZero() || got.After(wake)) {
		o.fail("wakes at %v, something is possible at %v", got, wake)
	}
}
