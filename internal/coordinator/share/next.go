package share

import (
	"math"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Look says what Next may offer.
type Look struct {
	From   kafka.Offset    // nothing below
	LogEnd kafka.Offset    // the high watermark, or the last stable offset for read_committed: records from there on may not be read yet
	Again  bool            // Again of the Stretch that was read before; false at first
	Got    []AcquiredRange // what this fetch has so far: a record on its last attempts goes alone
}

// Stretch is where to read the log. Last is included; IsNew: it lies beyond what the Partition has seen, Last is LogEnd-1.
type Stretch struct {
	First, Last kafka.Offset
	IsNew       bool
	Again       bool // redelivery, the second pass of a fetch without RedeliverFirst: give it back in Look
}

const (
	// maxStretch is how many offsets a Stretch within the window has at most.
	maxStretch = 4096
	// maxHole is over how many records that cannot be acquired a Stretch goes on: it is cheaper to read them than to read twice.
	maxHole = 32
)

// Next is where the next records to acquire are in the log: lowest offsets first with RedeliverFirst, else new ones first and, if this fetch got
// none, released ones. ok is false if there is nothing now: the log has no more, all is locked, resting, waiting for its key or its time, or a
// limit is reached. A host may read less than the Stretch, or more; if it finds nothing to read in it at all, it stops asking.
func (p *Partition) Next(now time.Time, look Look) (_ Stretch, ok bool) {
	t := p.at(now)
	p.expire(t)
	if p.endsThrottled(look.Got) {
		return Stretch{}, false
	}
	if p.settings.RedeliverFirst {
		if s, ok := p.nextInWindow(t, look.From, true, true); ok {
			return s, true
		}
		return p.nextBeyond(t, look)
	}
	if !look.Again {
		if s, ok := p.nextInWindow(t, look.From, true, false); ok {
			return s, true
		}
		if s, ok := p.nextBeyond(t, look); ok {
			return s, true
		}
		if len(look.Got) > 0 {
			return Stretch{}, false
		}
		look.From = 0
	}
	s, ok := p.nextInWindow(t, look.From, false, true)
	s.Again = true
	return s, ok
}

// nextBeyond offers what lies behind the window.
func (p *Partition) nextBeyond(t instant, look Look) (Stretch, bool) {
	room, below := p.roomForFresh(t)
	if room <= 0 || p.end >= below || p.end >= look.LogEnd || p.isFull(t) && p.tracked >= p.settings.MaxWindow {
		return Stretch{}, false
	}
	p.offered = p.end
	return Stretch{First: p.end, Last: look.LogEnd - 1, IsNew: true}, true
}

// nextInWindow finds the first records from an offset on that can be acquired now, and goes on while more of them follow closely.
func (p *Partition) nextInWindow(t instant, from kafka.Offset, fresh, again bool) (s Stretch, ok bool) {
	from = max(from, p.start)
	room, below := p.roomForFresh(t)
	neighbours := 0 // pairs of chunks that could be one
	for ci := p.chunkOf(from); ci < len(p.chunks); ci++ {
		c := p.chunks[ci]
		p.refresh(c, t)
		if ci > 0 && c.isMeek() && p.chunks[ci-1].isMeek() && c.uniform == p.chunks[ci-1].uniform {
			neighbours++
		}
		if ok && (c.first > s.Last+maxHole || s.Last-s.First >= maxStretch) {
			break
		}
		mayFresh := fresh && c.fresh > 0 && room > 0 && c.first < below
		if !mayFresh && (!again || c.again == 0) {
			continue
		}
		first, last, found := c.readyWithin(t, from, mayFresh, again)
		if !found {
			continue
		}
		if !ok {
			s.First, ok = first, true
		} else if first > s.Last+maxHole {
			break
		}
		s.Last = last
	}
	if neighbours > 0 {
		p.merge()
	}
	return s, ok
}

// readyWithin is the first and the last record of the chunk, from an offset on and with no great hole between, that can be acquired.
func (c *chunk) readyWithin(t instant, from kafka.Offset, fresh, again bool) (first, last kafka.Offset, ok bool) {
	for i := max(0, int64(from-c.first)); i < c.n; {
		s, end := c.at(i), c.runEnd(i, c.n)
		if !s.isFree() || s.count == 0 && !fresh || s.count > 0 && !again {
			i = end
			continue
		}
		for i < end {
			j := c.readyEnd(i, end, s, t)
			if j == i {
				i++
				continue
			}
			at := c.first + kafka.Offset(i)
			if !ok {
				first, ok = at, true
			} else if at > last+maxHole {
				return first, last, ok
			}
			last = c.first + kafka.Offset(j) - 1
			i = j
		}
	}
	return first, last, ok
}

// NextWake is the earliest time at which a lock ends, or a record becomes available by its time or back-off; zero: no such time. A time that has
// passed means now. At that time call Expire, then offer Next to those who wait.
func (p *Partition) NextWake(now time.Time) time.Time {
	t := p.at(now)
	wall, mono := int64(math.MaxInt64), int64(math.MaxInt64)
	if len(p.deadlines) > 0 {
		mono = p.locks[p.deadlines[0]].deadline
	}
	for _, c := range p.chunks {
		p.refresh(c, t)
		wall, mono = min(wall, c.wakeWall), min(mono, c.wakeMono)
	}
	var wake time.Time
	if mono != math.MaxInt64 {
		wake = p.base.Add(time.Duration(mono))
	}
	if wall != math.MaxInt64 {
		due := now.Add(time.UnixMilli(wall).Sub(now.Round(0)))
		if wake.IsZero() || due.Before(wake) {
			wake = due
		}
	}
	return wake
}
