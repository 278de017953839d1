package share

import (
	"math"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Expire ends the locks whose time has come. It says whether any has ended since the last call: Next, Acquire and Acknowledge end them too.
func (p *Partition) Expire(now time.Time) bool {
	p.expire(p.at(now))
	ended := p.hasEnded
	p.hasEnded = false
	return ended
}

func (p *Partition) expire(t instant) {
	n := len(p.deadlines)
	for len(p.deadlines) > 0 && p.locks[p.deadlines[0]].deadline <= t.mono {
		p.releaseLock(p.deadlines[0], t)
	}
	if len(p.deadlines) < n {
		p.hasEnded = true
		p.settle()
	}
}

// Release gives back all that a member holds: it left or its session ended. Acknowledgements under way stay. It says whether anything changed.
func (p *Partition) Release(now time.Time, member string) bool {
	t := p.at(now)
	p.scratchIDs = p.locksOf(member, p.scratchIDs[:0])
	for _, id := range p.scratchIDs {
		p.releaseLock(id, t)
	}
	if len(p.scratchIDs) > 0 {
		p.settle()
	}
	return len(p.scratchIDs) > 0
}

// releaseLock makes the records of a lock available again, at once: nobody has been promised anything. Those whose acknowledgement is under way
// stay until it is known how that ended.
func (p *Partition) releaseLock(id uint32, t instant) {
	p.endLock(id)
	// The spans are taken out of the lock because the last record that leaves it frees it.
	spans := p.locks[id].spans
	p.locks[id].spans = nil
	for _, sp := range spans {
		for w := p.walk(sp.first, sp.last); ; {
			r, ok := w.next()
			if !ok {
				break
			}
			if r.s.lock == id && r.s.pending == 0 {
				p.release(r, t)
			}
		}
	}
	if cap(spans) <= chunkSize && p.locks[id].spans == nil {
		p.locks[id].spans = spans[:0]
	}
}

// release gives a run of acquired records back without waiting for a write.
func (p *Partition) release(r run, t instant) {
	p.unhold(r.s.lock, r.len())
	p.putBack(r, t)
	p.touch(r.first(), r.last())
	p.hasWoken = true
}

// putBack makes records available again, unless they have been delivered DeliveryLimit times.
func (p *Partition) putBack(r run, t instant) {
	s := slot{state: p.returned(r.s.count), count: r.s.count}
	if s.state == Archiving {
		s.reason = UsedUp
	}
	p.set(r, s)
	if rest := p.rest(r.s.count); s.state == Available && rest > 0 {
		r.c.needDue()
		for i := r.i; i < r.j; i++ {
			r.c.due[i] = max(1, t.mono+rest)
		}
	}
}

// returned is what becomes of a record that comes back after so many deliveries.
func (p *Partition) returned(count int16) RecordState {
	if int(count) < p.settings.DeliveryLimit {
		return Available
	}
	return p.archived()
}

// archived is where rejected and used-up records go.
func (p *Partition) archived() RecordState {
	if p.settings.DeadLetter {
		return Archiving
	}
	return Archived
}

// rest is how long a record rests after so many deliveries, in ns.
func (p *Partition) rest(count int16) int64 {
	d := float64(p.settings.RetryBackoff)
	if d <= 0 {
		return 0
	}
	d *= math.Pow(max(1, p.settings.RetryMultiple), float64(max(count, 1)-1))
	if ceiling := float64(p.settings.RetryMax); ceiling > 0 {
		d = min(d, ceiling)
	}
	return int64(min(d, float64(maxRest)))
}

// maxRest keeps sums of times within range.
const maxRest = 100 * 365 * 24 * time.Hour

// TrimTo is told that the log begins at an offset: what lies below is gone, whoever holds it. SHR-4.
func (p *Partition) TrimTo(_ time.Time, logStart kafka.Offset) {
	if logStart <= p.start {
		return
	}
	for w := p.walk(p.start, logStart-1); ; {
		r, ok := w.next()
		if !ok {
			break
		}
		if r.s.state.isDone() {
			continue
		}
		if r.s.lock != noLock {
			p.unhold(r.s.lock, r.len())
		}
		p.set(r, slot{state: Archived})
		p.hasWoken = true
	}
	for len(p.restored) > 0 && p.restored[0].First < max(logStart, p.end) {
		r := &p.restored[0]
		cut := min(max(logStart, p.end), r.Last+1)
		if r.State.isDone() && cut > max(r.First, p.end) {
			p.doneAhead -= int(cut - max(r.First, p.end))
		}
		if r.First = cut; r.First > r.Last {
			p.restored = p.restored[1:]
			continue
		}
		break
	}
	p.settle()
	if p.end < logStart {
		p.start, p.end = logStart, logStart
		p.absorb()
		p.settle()
	}
}
