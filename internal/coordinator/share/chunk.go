package share

import (
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	// chunkSize is how many offsets a chunk has at most, unless they are all done.
	chunkSize = 512
	// ownChunk is the size from which a record batch gets a chunk of its own, and a chunk is full enough to be left alone: so batches that are
	// taken and acknowledged as a whole never need a slot per record, and the window has at most two chunks per ownChunk records.
	ownChunk = 128
)

// slot is what is known of one record, or of every record of a uniform chunk. Equal slots are the same to every rule except keys and times.
type slot struct {
	state   RecordState
	pending uint8 // 1 + the state that an acknowledgement under way asks for; 0: none. Only Acquired records have one.
	count   int16 // deliveries
	lock    uint32
	reason  Reason // of Archiving
	// isBlocked: an earlier record of the same key is not done.
	isBlocked bool
	// isTold: given to the dead-letter topic.
	isTold bool
}

const noLock = 0

// after is the state as it will be when what is under way is durable.
func (s slot) after() RecordState {
	if s.pending != 0 {
		return RecordState(s.pending - 1)
	}
	return s.state
}

func (st RecordState) isDone() bool { return st == Acknowledged || st == Archived }

// isFree: nobody holds it and no earlier record of its key is in the way. Whether its time has come the chunk knows.
func (s slot) isFree() bool { return s.state == Available && !s.isBlocked }

// isWritten: a restart must remember it. Fresh records and gone ones (archived unseen) are found again in the log.
func (s slot) isWritten() bool {
	return s.count > 0 || s.state == Acknowledged || s.state == Archiving
}

// chunk is a stretch of the window: one slot for all its offsets, or one each once they differ.
type chunk struct {
	first   kafka.Offset
	n       int64
	uniform slot   // of all, while slots is nil
	slots   []slot // len n otherwise
	keys    []uint64
	next    []kafka.Offset // the next record of the same key, 0: none yet; together with keys
	// due is when a resting record becomes available: ms of the wall clock for one that was never delivered (its producer named the time), ns since
	// Partition.base for one that was (back-off; a clock that jumps does not matter). 0: at once.
	due []int64

	// What follows is counted anew when the chunk was changed (isStale) or a time has come.
	isStale            bool
	fresh, again       int   // could be acquired: never delivered, delivered before
	open               int64 // not done
	fragments          int
	counted            int // against MaxWindow, as Partition.tracked has it
	wakeWall, wakeMono int64
}

// instant is one point in time on both clocks.
type instant struct {
	wall int64 // ms since 1970
	mono int64 // ns since Partition.base
}

func (c *chunk) end() kafka.Offset { return c.first + kafka.Offset(c.n) }

func (c *chunk) at(i int64) slot {
	if c.slots == nil {
		return c.uniform
	}
	return c.slots[i]
}

// runEnd is the end of the slots from i that are the same as that at i, at most limit.
func (c *chunk) runEnd(i, limit int64) int64 {
	if c.slots == nil {
		return limit
	}
	s := c.slots[i]
	for i++; i < limit && c.slots[i] == s; i++ {
	}
	return i
}

// isResting reports whether the free record at i has to wait for its time.
func (c *chunk) isResting(i int64, s slot, t instant) bool {
	if c.due == nil || c.due[i] == 0 {
		return false
	}
	if s.count == 0 {
		return c.due[i] > t.wall
	}
	return c.due[i] > t.mono
}

// readyEnd is the end of the records from i up to limit that can be acquired, all having slot s; i itself if it cannot.
func (c *chunk) readyEnd(i, limit int64, s slot, t instant) int64 {
	if !s.isFree() {
		return i
	}
	if c.due == nil {
		return limit
	}
	for ; i < limit && !c.isResting(i, s, t); i++ {
	}
	return i
}

// recount brings the counts up to date.
func (c *chunk) recount(t instant) {
	c.isStale = false
	c.fresh, c.again, c.open, c.fragments = 0, 0, 0, 0
	c.wakeWall, c.wakeMono = math.MaxInt64, math.MaxInt64
	wasWritten := slot{}
	isFirst := true
	resting := 0
	for i := int64(0); i < c.n; {
		s, j := c.at(i), c.runEnd(i, c.n)
		if s.isWritten() && (isFirst || !wasWritten.isWritten() || s.after() != wasWritten.after() || s.count != wasWritten.count) {
			c.fragments++
		}
		wasWritten, isFirst = s, false
		if !s.state.isDone() {
			c.open += j - i
		}
		if s.isFree() {
			if ready := c.countReady(i, j, s, t, &resting); s.count == 0 {
				c.fresh += ready
			} else {
				c.again += ready
			}
		}
		i = j
	}
	if resting == 0 && c.open == 0 {
		c.due = nil
	}
	if c.open == 0 {
		c.keys, c.next = nil, nil
	}
}

// countReady counts what can be acquired of a run of free records and notes when the others wake.
func (c *chunk) countReady(i, j int64, s slot, t instant, resting *int) (ready int) {
	if c.due == nil {
		return int(j - i)
	}
	for ; i < j; i++ {
		if !c.isResting(i, s, t) {
			ready++
			continue
		}
		*resting++
		if s.count == 0 {
			c.wakeWall = min(c.wakeWall, c.due[i])
		} else {
			c.wakeMono = min(c.wakeMono, c.due[i])
		}
	}
	return ready
}

// isMeek reports whether the chunk is one stretch of done records, which may be as long as it likes and merge with its like.
func (c *chunk) isMeek() bool { return c.slots == nil && c.uniform.state.isDone() }
