package seglog

import (
	"context"
	"fmt"
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

func (l *Log) activeLocked() *segment { return l.segments[len(l.segments)-1] }

// lockWithRoom takes l.mu once there is memory for n bytes at the end of the tail, rolling the active segment first if they do not fit into
// it. It returns blocks for what the last block has no room for. Memory is waited for without the lock: a full pool is the back-pressure
// that keeps producers at the disk's speed.
func (l *Log) lockWithRoom(first, next kafka.Offset, n int) (fresh []mem, err error) {
	drop := func() {
		for _, m := range fresh {
			l.e.pool.put(m)
		}
	}
	have := 0
	for {
		l.mu.Lock()
		if err := l.usableLocked(); err != nil {
			l.mu.Unlock()
			drop()
			return nil, err
		}
		l.rollIfFullLocked(first, next, n)
		need, class := l.needLocked(n)
		if have >= need {
			return fresh, nil
		}
		l.mu.Unlock()
		for have < need {
			c := max(class, classFor(need-have))
			m, err := l.e.pool.get(l.d.forMemory(), c)
			if err != nil {
				drop()
				if cause := context.Cause(l.e.ctx); cause != nil {
					return nil, cause
				}
				return nil, fmt.Errorf("append to %s: %w", l.id, l.d.refusal())
			}
			fresh = append(fresh, m)
			have += len(m.buf)
			class = min(c+1, len(classes)-1)
		}
	}
}

// needLocked is how many bytes of new blocks an append of n bytes wants, and the least class they should have: a partition's blocks grow
// with its traffic.
func (l *Log) needLocked(n int) (bytes, class int) {
	s := l.activeLocked()
	if len(l.tail) == 0 {
		return n + int(s.size-alignDown(s.size)), 0
	}
	last := l.tail[len(l.tail)-1]
	if last.seg != s {
		return n + int(s.size-alignDown(s.size)), 0
	}
	return max(0, n-last.room()), min(classFor(len(last.buf))+1, len(classes)-1)
}

// writeTailLocked copies b behind the tail, into the last block and then into fresh ones; it returns those it did not need.
func (l *Log) writeTailLocked(b record.Batches, fresh []mem) []mem {
	s := l.activeLocked()
	pos := s.size
	for len(b) > 0 {
		var last *block
		if n := len(l.tail); n > 0 && l.tail[n-1].seg == s && !l.tail[n-1].full() {
			last = l.tail[n-1]
		} else {
			last = newBlock(l.e.pool, fresh[0], s, alignDown(pos))
			fresh = fresh[1:]
			last.lo = int(pos - last.pos)
			last.n, last.flushed = last.lo, last.lo
			l.tail = append(l.tail, last)
		}
		n := copy(last.buf[last.n:], b)
		last.n += n
		pos += int64(n)
		b = b[n:]
	}
	return fresh
}

// rollIfFullLocked starts a new segment if the batches do not fit into the active one: by bytes, or since offsets in a segment are 31 bits
// relative to its base, and positions in its index too.
func (l *Log) rollIfFullLocked(first, next kafka.Offset, n int) {
	s := l.activeLocked()
	if s.size == 0 {
		if first > s.base && s.base == l.end && next-1-s.base > math.MaxInt32 {
			l.rollLocked(first)
		}
		return
	}
	if s.size+int64(n) > min(l.cfg.SegmentBytes, math.MaxInt32) || next-1-s.base > math.MaxInt32 {
		l.rollLocked(first)
	}
}

// rollLocked seals the active segment and makes base the first offset of a new one (SEG-1). The sealed file is completed by the next flush.
func (l *Log) rollLocked(base kafka.Offset) {
	s := l.activeLocked()
	l.active.addTime()
	s.index = l.active.index
	s.sealed = true
	s.next = base
	l.segments = append(l.segments, newSegment(l.path, base))
	l.active = indexer{index: &index{}, base: base}
}

// Roll implements storage.Segmented.
func (l *Log) Roll() error {
	if err := l.load(); err != nil {
		return err
	}
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return err
	}
	rolled := l.activeLocked().size > 0
	if rolled {
		l.rollLocked(l.end)
	}
	l.mu.Unlock()
	if rolled {
		l.d.flushSoon(l)
	}
	return nil
}
