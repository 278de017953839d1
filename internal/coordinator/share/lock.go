package share

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// lock is what one Acquire (or one renewal) gave to a member: all its records run out together.
type lock struct {
	member   string
	deadline int64  // ns since Partition.base
	held     int    // records that have it, those being acknowledged included
	spans    []span // where they are, and perhaps no longer are
	place    int    // in Partition.deadlines, from 1; 0: it has ended, and the records that still have it are being acknowledged
}

// newLock makes a lock that ends LockDuration from now; its number goes into the slots.
func (p *Partition) newLock(member string, t instant) uint32 {
	var id uint32
	if n := len(p.freeLocks); n > 0 {
		id, p.freeLocks = p.freeLocks[n-1], p.freeLocks[:n-1]
	} else {
		if len(p.locks) == 0 {
			p.locks = append(p.locks, lock{}) // number 0 is noLock
		}
		p.locks = append(p.locks, lock{})
		id = uint32(len(p.locks) - 1)
	}
	l := &p.locks[id]
	l.member, l.deadline, l.held, l.spans = member, t.mono+int64(p.settings.LockDuration), 0, l.spans[:0]
	p.deadlines = append(p.deadlines, id)
	l.place = len(p.deadlines)
	p.rise(len(p.deadlines) - 1)
	return id
}

// hold counts records that got the lock.
func (p *Partition) hold(id uint32, first, last kafka.Offset) {
	l := &p.locks[id]
	l.held += int(last-first) + 1
	l.spans = addSpan(l.spans, first, last)
}

// unhold counts n records that have the lock no more; an empty lock is gone.
func (p *Partition) unhold(id uint32, n int) {
	l := &p.locks[id]
	if l.held -= n; l.held > 0 {
		return
	}
	p.endLock(id)
	l.member = ""
	if cap(l.spans) > chunkSize {
		l.spans = nil
	}
	p.freeLocks = append(p.freeLocks, id)
}

// endLock takes a lock out of the deadlines.
func (p *Partition) endLock(id uint32) {
	l := &p.locks[id]
	if l.place == 0 {
		return
	}
	i := l.place - 1
	l.place = 0
	last := len(p.deadlines) - 1
	moved := p.deadlines[last]
	p.deadlines = p.deadlines[:last]
	if i < last {
		p.deadlines[i] = moved
		p.locks[moved].place = i + 1
		p.rise(i)
		p.sink(i)
	}
}

// rise and sink keep deadlines a heap, earliest first.
func (p *Partition) rise(i int) {
	for i > 0 && p.isEarlier(i, (i-1)/2) {
		p.swapLocks(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (p *Partition) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(p.deadlines) {
			return
		}
		if child+1 < len(p.deadlines) && p.isEarlier(child+1, child) {
			child++
		}
		if !p.isEarlier(child, i) {
			return
		}
		p.swapLocks(i, child)
		i = child
	}
}

func (p *Partition) isEarlier(i, j int) bool {
	return p.locks[p.deadlines[i]].deadline < p.locks[p.deadlines[j]].deadline
}

func (p *Partition) swapLocks(i, j int) {
	d := p.deadlines
	d[i], d[j] = d[j], d[i]
	p.locks[d[i]].place, p.locks[d[j]].place = i+1, j+1
}

// holder is the member behind a slot's lock.
func (p *Partition) holder(id uint32) string {
	if id == noLock {
		return ""
	}
	return p.locks[id].member
}

// locksOf lists the locks of a member that have not ended.
func (p *Partition) locksOf(member string, into []uint32) []uint32 {
	for _, id := range p.deadlines {
		if p.locks[id].member == member {
			into = append(into, id)
		}
	}
	slices.Sort(into)
	return into
}
