package seglog

import "github.com/rafka-io/rafka/internal/kafka"

// cursor remembers where a read ended, so that one that goes on from there need not search: an index names the batch before.
type cursor struct {
	next kafka.Offset
	s    *segment
	pos  int64
	gen  uint64 // of the log then: after a cut the place is another
}

// cursors are the last few reads of a log, for as many consumers that follow one another. Guarded by Log.mu; a log that nobody reads has none.
type cursors struct {
	list *[8]cursor
	at   int
}

func (c *cursors) find(from kafka.Offset, s *segment, gen uint64) (pos int64, ok bool) {
	if c.list == nil {
		return 0, false
	}
	for i := range c.list {
		if e := &c.list[i]; e.s == s && e.next == from && e.gen == gen {
			return e.pos, true
		}
	}
	return 0, false
}

// put remembers e, in place of the one it went on from or of the oldest.
func (c *cursors) put(e cursor) {
	if c.list == nil {
		c.list = new([8]cursor)
	}
	for i := range c.list {
		if have := &c.list[i]; have.s == e.s && have.next == e.next {
			*have = e
			return
		}
	}
	c.list[c.at%len(c.list)] = e
	c.at++
}
