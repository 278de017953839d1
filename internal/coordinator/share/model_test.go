package share

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

func newOracle(t *testing.T, seed uint64) *oracle {
	rng := rand.New(rand.NewPCG(seed, 4))
	s := Settings{
		MaxLocks: 20 + rng.IntN(600), DeliveryLimit: 2 + rng.IntN(6), LockDuration: time.Duration(1+rng.IntN(10)) * time.Second, Renew: true,
		DeadLetter: rng.IntN(2) == 0, KeyOrdering: rng.IntN(2) == 0, RedeliverFirst: rng.IntN(2) == 0,
	}
	if rng.IntN(2) == 0 {
		s.RetryBackoff, s.RetryMultiple, s.RetryMax = time.Second, 2, 5*time.Second
	}
	if rng.IntN(4) == 0 {
		s.MaxWindow, s.MaxFragments = 50+rng.IntN(1000), 3+rng.IntN(60)
	}
	o := &oracle{t: t, rng: rng, settings: s.withDefaults(), now: epoch}
	o.note("settings %+v", s)
	p, err := Restore(s, State{})
	if err != nil {
		t.Fatal(err)
	}
	o.p = p
	return o
}

// SHR-1, SHR-2, SHR-3, SHR-4, SHR-5, SHR-6: everything that can happen, in any order, agrees with the oracle, and in the end every record has
// been delivered until it was accepted or archived.
func TestPartitionAgreesWithAPerOffsetOracle(t *testing.T) {
	runs := 150
	if testing.Short() {
		runs = 30
	}
	for range runs {
		seed := seed.Of(t)
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) }) {
			t.Fatalf("seed %d", seed)
		}
	}
}

func runModel(t *testing.T, seed uint64) {
	o := newOracle(t, seed)
	members := []string{"ada", "bob", "cem"}
	for range 250 {
		m := members[o.rng.IntN(len(members))]
		switch o.rng.IntN(20) {
		case 0, 1, 2:
			if len(o.log) < 3000 {
				o.append()
			}
		case 3, 4, 5, 6, 7:
			o.fetch(m)
		case 8, 9, 10, 11, 12:
			o.acknowledge(m)
		case 13, 14, 15:
			o.persist()
		case 16:
			o.now = o.now.Add(time.Duration(o.rng.IntN(4000)) * time.Millisecond)
			o.p.Expire(o.now)
			o.expireLocks()
			o.note("time passes")
		case 17:
			o.deadLetters()
		case 18:
			switch o.rng.IntN(4) {
			case 0:
				o.release(m)
			case 1:
				o.trim()
			case 2:
				o.restart()
			}
		}
		o.check()
	}
	o.drain()
}

// drain lets two members take and accept all there is; time goes on to NextWake, never further.
func (o *oracle) drain() {
	for range 100_000 {
		if o.p.Start() == o.end() {
			return
		}
		for _, d := range o.p.DeadLetters(nil) {
			o.p.DeadLettered(o.now, d.First, d.Last)
		}
		look := Look{LogEnd: o.end()}
		s, ok := o.p.Next(o.now, look)
		if !ok {
			if o.inFlight.Ticket == 0 && !o.p.Changes(&o.w) {
				wake := o.p.NextWake(o.now)
				if wake.IsZero() && o.p.Stats(o.now).Archiving > 0 {
					o.p.DeadLettered(o.now, o.start, o.end())
					continue
				}
				if wake.IsZero() || wake.Before(o.now) {
					o.fail("nothing to do at %v, next wake %v: start %d, end %d, log end %d, %+v", o.now, wake, o.p.Start(), o.p.End(), o.end(), o.p.Stats(o.now))
				}
				o.now = wake
				o.p.Expire(o.now)
			} else {
				o.p.Persisted(o.now, o.p.writing.ticket)
				o.inFlight = Write{}
			}
			continue
		}
		for _, a := range o.p.Acquire(o.now, Ask{Member: "last", Max: 100}, o.read(s), nil) {
			for off := a.First; off <= a.Last; off++ {
				if o.at(off).isFinal {
					o.fail("offset %d delivered after its accept was confirmed", off)
				}
			}
			if _, err := o.p.Acknowledge(o.now, "last", []Ack{{a.First, a.Last, []int8{AckAccept}}}); err != nil {
				o.fail("accept %v: %v", a, err)
			}
		}
		o.start, o.known = o.p.Start(), o.p.End()
	}
	o.fail("not drained: start %d of %d", o.p.Start(), o.end())
}

// append writes a batch to the log: mostly records, at times a control batch, an aborted one, or a hole that compaction left.
func (o *oracle) append() {
	n := 1 + o.rng.IntN(12)
	if o.rng.IntN(12) == 0 {
		n = 100 + o.rng.IntN(500)
	}
	b := Batch{First: o.end(), Last: o.end() + kafka.Offset(n) - 1, IsGone: o.rng.IntN(8) == 0}
	for range n {
		r := oracleRecord{isGone: b.IsGone}
		if o.rng.IntN(3) > 0 {
			r.key = uint64(1 + o.rng.IntN(9))
		}
		if o.rng.IntN(10) == 0 {
			r.notBefore = o.now.Add(time.Duration(o.rng.IntN(20_000)) * time.Millisecond).UnixMilli()
		}
		r.isGone = r.isGone || o.rng.IntN(15) == 0
		o.log = append(o.log, r)
	}
	o.batches = append(o.batches, b)
	o.note("log %d..%d gone=%v", b.First, b.Last, b.IsGone)
}

// read is what the host hands over for a stretch: the batches of the log from there on, as far as chance lets it read.
func (o *oracle) read(s Stretch) (got []Batch) {
	most := 1 + o.rng.IntN(4)
	for _, b := range o.batches {
		if b.Last < s.First || b.Last < o.logStart {
			continue
		}
		if b.First > s.Last || len(got) == most {
			break
		}
		isPlain := true
		var records []Record
		for off := b.First; off <= b.Last; off++ {
			r := o.at(off)
			isPlain = isPlain && !r.isGone && (r.key == 0 || !o.settings.KeyOrdering) && r.notBefore == 0
			if r.isGone && o.rng.IntN(2) == 0 {
				continue
			}
			records = append(records, Record{Offset: off, Key: r.key, NotBefore: kafka.Timestamp(r.notBefore), IsGone: r.isGone})
		}
		if !isPlain && !b.IsGone {
			b.Records = records
			if records == nil {
				b.Records = []Record{}
			}
		}
		got = append(got, b)
	}
	if len(got) > 0 && got[len(got)-1].Last >= o.known {
		o.learn(got[len(got)-1].Last)
	}
	// A gone batch need not be mentioned between others.
	if len(got) > 2 && got[1].IsGone {
		got = slices.Delete(got, 1, 2)
	}
	return got
}

func (o *oracle) learn(last kafka.Offset) {
	for ; o.known <= last; o.known++ {
		r := o.at(o.known)
		r.isKnown = true
		if r.isGone && !r.state.isDone() {
			r.state, r.count = Archived, 0
		}
		if r.state == Archiving {
			r.isTold = true
		}
	}
	o.absorb()
}

// absorb: what was done before a restart is known at once.
func (o *oracle) absorb() {
	for o.known < o.end() && !o.at(o.known).isGone && o.at(o.known).state.isDone() {
		o.at(o.known).isKnown = true
		o.known++
	}
	o.settle()
}

func (o *oracle) fetch(member string) {
	o.now = o.now.Add(time.Duration(o.rng.IntN(50)) * time.Millisecond)
	o.expireLocks()
	ask := Ask{Member: member, Max: 1 + o.rng.IntN(40), WholeBatches: o.rng.IntN(2) == 0, BatchSize: o.rng.IntN(20)}
	look := Look{LogEnd: o.end()}
	want := ask.Max
	var got []AcquiredRange
	for rounds := 0; want > 0; rounds++ {
		before := o.locks()
		s, ok := o.p.Next(o.now, look)
		if !ok {
			if len(got) == 0 {
				o.checkNothingLeft(before)
			}
			break
		}
		if rounds > 10*len(o.log)+10 {
			o.fail("fetch of %s goes on for ever at %+v", member, s)
		}
		if s.IsNew != (s.First == o.known) || s.IsNew && s.Last != o.end()-1 || s.Last < s.First {
			o.fail("stretch %+v, known up to %d, log end %d", s, o.known, o.end())
		}
		batches := o.read(s)
		if len(batches) == 0 {
			o.fail("stretch %+v has nothing in the log", s)
		}
		before = o.locks() // what was read again after a restart counts
		n := len(got)
		ask.Max = want
		more := o.p.Acquire(o.now, ask, batches, slices.Clone(got))
		o.note("%s acquires of %+v %d..%d: %v", member, s, batches[0].First, batches[len(batches)-1].Last, more[n:])
		taken := o.take(member, ask, got, more, before)
		if !ask.WholeBatches && o.locks() > max(o.settings.MaxLocks, before) {
			o.fail("%d records in flight, %d allowed", o.locks(), o.settings.MaxLocks)
		}
		if !ask.WholeBatches && taken > want {
			o.fail("%d records taken, %d wanted", taken, want)
		}
		got, want = more, want-taken
		look.From, look.Again, look.Got = batches[len(batches)-1].Last+1, s.Again, got
		if o.rng.IntN(3) == 0 {
			break
		}
	}
}

// take checks and notes what was acquired; more begins with what was acquired before.
func (o *oracle) take(member string, ask Ask, got, more []AcquiredRange, before int) (taken int) {
	had := map[kafka.Offset]bool{}
	for _, r := range got {
		for off := r.First; off <= r.Last; off++ {
			had[off] = true
		}
	}
	var last int16
	hasNew, hasOld := false, false
	for _, a := range more {
		for off := a.First; off <= a.Last; off++ {
			if had[off] {
				continue
			}
			r := o.at(off)
			if !o.mayDeliver(off) { // SHR-2
				o.fail("offset %d given to %s: %+v behind key %v", off, member, *r, o.isBehindKey(off))
			}
			if r.isFinal {
				o.fail("offset %d delivered after its accept was confirmed", off)
			}
			hasNew, hasOld = hasNew || r.count == 0, hasOld || r.count > 0
			r.state, r.member, r.deadline, r.due = Acquired, member, o.now.Add(o.settings.LockDuration), time.Time{}
			r.count++ // SHR-3
			r.deliveries++
			if r.count != a.Count || int(r.count) > o.settings.DeliveryLimit {
				o.fail("offset %d: delivery %d, told %d, limit %d", off, r.count, a.Count, o.settings.DeliveryLimit)
			}
			last = max(last, r.count)
			taken++
		}
	}
	if !o.settings.RedeliverFirst && hasNew && hasOld {
		o.fail("new records and released ones in one acquisition: %v", more)
	}
	if limit := o.settings.DeliveryLimit; limit > 2 && int(last) >= limit && taken != 1 {
		o.fail("a record on its last attempt goes with %d others", taken-1)
	}
	return taken
}

func (o *oracle) acknowledge(member string) {
	o.expireLocks()
	var acks []Ack
	valid := true
	at := o.start
	for len(acks) < 5 {
		for at < o.known && (o.at(at).member != member || o.rng.IntN(4) == 0) && o.rng.IntN(400) != 0 {
			at++
		}
		if at >= o.known {
			break
		}
		last := at
		for last+1 < o.known && o.at(last+1).member == member && o.rng.IntN(12) != 0 {
			last++
		}
		a := Ack{First: at, Last: last}
		if o.rng.IntN(2) == 0 {
			a.Types = []int8{o.ackType()}
		} else {
			for range last - at + 1 {
				a.Types = append(a.Types, o.ackType())
			}
		}
		for off := a.First; off <= a.Last; off++ {
			if r := o.at(off); !(r.state == Archived && r.count == 0) && (r.state != Acquired || r.member != member || r.pending != 0) {
				valid = false
			}
		}
		acks = append(acks, a)
		at = last + 1 + kafka.Offset(o.rng.IntN(3))
	}
	ticket, err := o.p.Acknowledge(o.now, member, acks)
	o.note("%s acknowledges %v: %d %v", member, acks, ticket, err)
	if valid != (err == nil) || err != nil && !errors.Is(err, kafka.InvalidRecordState) {
		o.fail("acknowledge %v: %v, valid %v", acks, err, valid)
	}
	if err != nil {
		return
	}
	for _, a := range acks {
		for off := a.First; off <= a.Last; off++ {
			typ := a.Types[0]
			if len(a.Types) > 1 {
				typ = a.Types[off-a.First]
			}
			if o.at(off).state == Acquired {
				o.intend(off, typ, ticket)
			}
		}
	}
}

func (o *oracle) ackType() int8 {
	if o.rng.IntN(2) == 0 {
		return AckAccept
	}
	return int8(o.rng.IntN(5))
}

func (o *oracle) intend(off kafka.Offset, typ int8, ticket Ticket) {
	r := o.at(off)
	if typ == AckRenew {
		r.deadline = o.now.Add(o.settings.LockDuration)
		return
	}
	if ticket == 0 {
		o.fail("acknowledgement of %d without a ticket", off)
	}
	r.pending = ticket
	switch typ {
	case AckAccept:
		r.target = Acknowledged
	case AckGap:
		r.target = Archived
	case AckReject:
		r.target, r.reason = o.archived(), Rejected
	case AckRelease:
		if r.target = Available; int(r.count) >= o.settings.DeliveryLimit {
			r.target, r.reason = o.archived(), UsedUp
		}
	}
}

func (o *oracle) release(member string) {
	o.now = o.now.Add(time.Millisecond)
	o.p.Release(o.now, member)
	o.note("%s leaves", member)
	for i := range o.log {
		if r := &o.log[i]; r.state == Acquired && r.member == member {
			if r.pending == 0 {
				o.back(r)
			} else {
				r.deadline = o.now // if its acknowledgement fails it comes back
			}
		}
	}
	// What the locks' own time says about others is not looked at by Release.
	o.settle()
}

// persist starts or ends a write.
func (o *oracle) persist() {
	if o.inFlight.Ticket == 0 {
		if o.p.Changes(&o.w) {
			o.inFlight = o.w
			o.inFlight.Batches = slices.Clone(o.w.Batches)
			o.note("write %+v", o.inFlight)
			o.checkWrite()
		} else if !o.isUnsure {
			o.checkDurable()
		}
		return
	}
	w := o.inFlight
	o.inFlight = Write{}
	failed := o.rng.IntN(4) == 0
	isDurable := !failed || o.rng.IntN(2) == 0 // a write may be durable though its answer got lost
	o.isUnsure = o.isUnsure || failed && isDurable
	if isDurable {
		o.durable = fold(o.durable, w)
	}
	o.note("write %d failed=%v durable=%v", w.Ticket, failed, isDurable)
	if failed {
		o.p.PersistFailed(o.now, w.Ticket)
	} else {
		o.p.Persisted(o.now, w.Ticket)
	}
	for i := range o.log {
		r := &o.log[i]
		switch {
		case r.pending != 0 && r.pending == w.Ticket && failed:
			if r.pending = 0; !o.now.Before(r.deadline) && o.hasEnded(kafka.Offset(i)) {
				o.back(r)
			}
		case r.pending != 0 && r.pending == w.Ticket:
			to, why := r.target, r.reason
			if o.back(r); to != Available {
				r.state, r.reason, r.due = to, why, time.Time{}
			}
			if to.isDone() {
				r.isFinal = true
			}
		}
	}
	o.settle()
}

func (o *oracle) deadLetters() {
	for _, d := range o.p.DeadLetters(nil) {
		o.note("dead letter %+v", d)
		for off := d.First; off <= d.Last; off++ {
			r := o.at(off)
			if off >= o.start && (r.state != Archiving || r.count != d.Count || d.Reason != Resumed && r.reason != d.Reason) {
				o.fail("dead letter %+v of %d: %+v", d, off, *r)
			}
		}
		if o.rng.IntN(6) > 0 {
			o.p.DeadLettered(o.now, d.First, d.Last)
			for off := max(d.First, o.start); off <= d.Last; off++ {
				o.at(off).state = Archived
			}
			o.settle()
		}
	}
}

func (o *oracle) trim() {
	if o.known == o.start {
		return
	}
	to := o.start + kafka.Offset(o.rng.IntN(int(o.known-o.start)+3))
	to = min(to, o.end())
	o.logStart = max(o.logStart, to)
	o.p.TrimTo(o.now, to)
	o.note("trim to %d", to)
	for off := kafka.Offset(0); off < to; off++ {
		if r := o.at(off); !r.state.isDone() {
			*r = oracleRecord{isGone: true, isKnown: true, state: Archived}
		} else {
			r.isGone = true
		}
	}
	o.start, o.known = max(o.start, to), max(o.known, to)
	o.absorb()
	o.settle()
}

// restart makes a new Partition of what is durable.
func (o *oracle) restart() {
	if o.inFlight.Ticket != 0 && o.rng.IntN(2) == 0 {
		o.durable = fold(o.durable, o.inFlight)
	}
	o.inFlight = Write{}
	if o.durable.StartOffset < o.logStart {
		o.durable = fold(o.durable, Write{StartOffset: o.logStart})
	}
	p, err := Restore(o.settings, o.durable)
	if err != nil {
		o.fail("restore %+v: %v", o.durable, err)
	}
	o.note("restart from %+v", o.durable)
	o.p, o.start, o.known = p, o.durable.StartOffset, o.durable.StartOffset
	for i := range o.log {
		r := &o.log[i]
		*r = oracleRecord{key: r.key, notBefore: r.notBefore, isGone: r.isGone, deliveries: r.deliveries, isFinal: r.isFinal}
		if kafka.Offset(i) < o.start {
			r.state = Archived
		}
	}
	for _, b := range o.durable.Batches {
		for off := b.First; off <= b.Last; off++ {
			r := o.at(off)
			r.state, r.count = b.State, b.Count
		}
	}
	o.absorb()
}
