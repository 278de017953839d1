package share

import (
	"math"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Ask is who wants records and how many.
type Ask struct {
	Member string
	Max    int // records; with WholeBatches the last record batch may go over it, as in Kafka
	// WholeBatches is ShareAcquireMode batch_optimized: what is available in a record batch is taken as a whole, even if that goes over Max or
	// MaxLocks. False: record_limit.
	WholeBatches bool
	BatchSize    int // an AcquiredRange of so many records ends with its record batch; 0: no limit
}

// AcquiredRange is a stretch of records that the member holds now, as ShareFetch answers it. Last is included.
type AcquiredRange struct {
	First, Last kafka.Offset
	Count       int16 // deliveries, this one included
}

// Acquire learns of records that are new, then locks for the member what is available within the batches, appends it to got and returns it.
// got is what this fetch has so far. Every new lock ends at now+LockDuration.
// Records at half of DeliveryLimit and beyond are handed out in ever smaller numbers, the last attempt alone, as in Kafka, so that a record that
// kills its consumer is found.
// With RedeliverFirst false, released records are taken only if the batches have nothing new.
func (p *Partition) Acquire(now time.Time, ask Ask, read []Batch, got []AcquiredRange) []AcquiredRange {
	t := p.at(now)
	p.expire(t)
	p.learn(read, t)
	a := acquisition{p: p, ask: ask, t: t, got: got, stopAt: math.MaxInt, isAlone: p.endsThrottled(got)}
	if p.settings.RedeliverFirst {
		a.pass(read, true, true)
	} else if a.pass(read, true, false); a.taken == 0 {
		a.pass(read, false, true)
	}
	p.settle()
	return a.got
}

// acquisition is one Acquire under way.
type acquisition struct {
	p       *Partition
	ask     Ask
	t       instant
	got     []AcquiredRange
	lock    uint32 // noLock until something was taken
	taken   int
	stopAt  int  // taken at which a throttled delivery ends
	isAlone bool // nothing more may be taken
}

// pass goes over the batches and takes what was never delivered (fresh), what was delivered before (again), or both.
func (a *acquisition) pass(read []Batch, fresh, again bool) {
	p := a.p
	for i := range read {
		b := &read[i]
		// Whether a batch may be taken is decided at its beginning if it is taken as a whole.
		room, below := p.roomForFresh(a.t)
		limit := a.ask.Max - a.taken
		if a.isAlone || limit <= 0 {
			return
		}
		if b.IsGone {
			continue
		}
		if a.ask.WholeBatches {
			limit = math.MaxInt32 // no batch has more
			if room > 0 {
				room = math.MaxInt32
			}
		}
		isFirst := true
		for w := p.walk(b.First, b.Last); limit > 0 && !a.isAlone; {
			r, ok := w.next()
			if !ok {
				break
			}
			if !r.s.isFree() || r.s.count == 0 && (!fresh || room <= 0 || r.first() >= below) || r.s.count > 0 && !again {
				continue
			}
			most := limit
			if r.s.count == 0 {
				most = min(most, room)
			}
			n := a.takeRun(r, most, b, &isFirst)
			limit -= n
			if r.s.count == 0 {
				room -= n
			}
		}
	}
}

// takeRun takes up to most records of a run whose time has come.
func (a *acquisition) takeRun(r run, most int, b *Batch, isFirst *bool) (n int) {
	for i := r.i; i < r.j && n < most && !a.isAlone; {
		j := r.c.readyEnd(i, min(r.j, i+int64(most-n)), r.s, a.t)
		if j == i {
			i++
			continue
		}
		j = i + int64(a.throttle(r.s.count, int(j-i), b))
		if j > i {
			a.take(r.part(i, j), *isFirst)
			*isFirst = false
			n += int(j - i)
		}
		i = j
	}
	return n
}

// throttle is how many of n records with that many deliveries may go now. It marks the acquisition as complete where that ends it.
func (a *acquisition) throttle(count int16, n int, b *Batch) int {
	limit := a.p.settings.DeliveryLimit
	if from := throttleFrom(limit); limit > 2 && int(count) >= from {
		if int(count) >= limit-1 {
			a.isAlone = true
			if a.taken > 0 || len(a.got) > 0 {
				return 0
			}
			return 1
		}
		if a.stopAt == math.MaxInt {
			size := min(int64(b.Last-b.First)+1, math.MaxInt32)
			a.stopAt = max(1, int(size>>(int(count)-from+1)))
		}
	}
	if left := a.stopAt - a.taken; n >= left {
		a.isAlone = true
		return max(left, 0)
	}
	return n
}

// throttleFrom is the number of deliveries from which on a record goes in smaller company.
func throttleFrom(limit int) int { return max(2, (limit+1)/2) }

// endsThrottled reports whether a fetch that has got must not get more.
func (p *Partition) endsThrottled(got []AcquiredRange) bool {
	limit := p.settings.DeliveryLimit
	return len(got) > 0 && limit > 2 && int(got[len(got)-1].Count) > throttleFrom(limit)
}

// take locks a run for the member.
func (a *acquisition) take(r run, isBatchStart bool) {
	p := a.p
	if a.lock == noLock {
		a.lock = p.newLock(a.ask.Member, a.t)
	}
	s := slot{state: Acquired, count: r.s.count, lock: a.lock}
	if s.count < math.MaxInt16 {
		s.count++
	}
	p.set(r, s)
	if r.c.due != nil {
		clear(r.c.due[r.i:r.j])
	}
	p.hold(a.lock, r.first(), r.last())
	a.taken += r.len()
	if n := len(a.got); n > 0 {
		last := &a.got[n-1]
		isFull := isBatchStart && a.ask.BatchSize > 0 && int64(r.first()-last.First) >= int64(a.ask.BatchSize)
		if last.Last+1 == r.first() && last.Count == s.count && !isFull {
			last.Last = r.last()
			return
		}
	}
	a.got = append(a.got, AcquiredRange{r.first(), r.last(), s.count})
}

// roomForFresh is how many records that were never delivered may be acquired, and below which offset. With MaxFragments those in the first chunk
// still go: only when they are done the start rises and fragments go away.
func (p *Partition) roomForFresh(t instant) (n int, below kafka.Offset) {
	below = math.MaxInt64
	if p.isFull(t) && p.fragments >= p.settings.MaxFragments && len(p.chunks) > 0 {
		below = p.chunks[0].end()
	}
	return p.settings.MaxLocks - p.inFlight, below
}
