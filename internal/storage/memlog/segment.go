package memlog

import (
	"sort"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Sizes of chunks: the first of a segment is small, so that an idle topic costs little; each further one is twice as large.
const (
	firstChunk = 1 << 10
	lastChunk  = 64 << 10
)

// chunk is memory with whole batches. It is the index too: a search ends in a chunk and goes on over its headers.
//
// What is written stays as it is, because extents alias it: bytes are only appended, and after a truncation into the chunk its capacity is
// cut, so that the next append goes elsewhere.
type chunk struct {
	base  kafka.Offset // of its first batch
	next  kafka.Offset // after its last
	max   kafka.Timestamp
	bytes record.Batches
}

// segment is a run of chunks. base <= the first batch's offset; next >= the last batch's offset + 1.
type segment struct {
	base, next        kafka.Offset
	size              int64
	max               kafka.Timestamp
	created, modified time.Time
	chunks            []*chunk
}

func newSegment(base kafka.Offset) *segment {
	return &segment{base: base, next: base, max: kafka.NoTimestamp}
}

// add appends one batch, copied.
func (s *segment) add(h *record.Header, batch []byte, now time.Time) {
	if s.size == 0 {
		s.created = now
	}
	c := s.room(len(batch))
	if c == nil {
		c = &chunk{base: h.BaseOffset, max: kafka.NoTimestamp, bytes: make(record.Batches, 0, s.chunkSize(len(batch)))}
		s.chunks = append(s.chunks, c)
	}
	c.bytes = append(c.bytes, batch...)
	c.next, c.max = h.NextOffset(), max(c.max, h.MaxTimestamp)
	s.next, s.max = h.NextOffset(), max(s.max, h.MaxTimestamp)
	s.size += int64(len(batch))
	s.modified = now
}

// room is the last chunk if n bytes fit into it.
func (s *segment) room(n int) *chunk {
	if len(s.chunks) == 0 {
		return nil
	}
	if c := s.chunks[len(s.chunks)-1]; cap(c.bytes)-len(c.bytes) >= n {
		return c
	}
	return nil
}

func (s *segment) chunkSize(n int) int {
	return max(n, min(firstChunk<<min(len(s.chunks), 6), lastChunk))
}

// find is the index of the first chunk that reaches above from; len(chunks) if none does.
func (s *segment) find(from kafka.Offset) int {
	return sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i].next > from })
}

// from is the chunk's batches from the one containing or following an offset.
func (c *chunk) from(at kafka.Offset) record.Batches {
	pos := 0
	for h, b := range c.bytes.All() {
		if h.NextOffset() > at {
			break
		}
		pos += len(b)
	}
	return c.bytes[pos:]
}

// truncate drops the batches that have an offset at or above end. The segment then ends at its last batch.
func (s *segment) truncate(end kafka.Offset) {
	if i := s.find(end); i < len(s.chunks) { // the first chunk with such a batch
		s.chunks = append(s.chunks[:i:i], s.chunks[i].below(end)...)
	}
	s.size, s.max, s.next = 0, kafka.NoTimestamp, s.base
	for _, c := range s.chunks {
		s.size += int64(len(c.bytes))
		s.max = max(s.max, c.max)
		s.next = c.next
	}
}

// below is a chunk with the batches whose offsets are all below end, or nothing.
func (c *chunk) below(end kafka.Offset) []*chunk {
	cut := &chunk{base: c.base, max: kafka.NoTimestamp}
	for h, b := range c.bytes.All() {
		if h.NextOffset() > end {
			break
		}
		n := len(cut.bytes) + len(b)
		cut.bytes = c.bytes[:n:n]
		cut.next, cut.max = h.NextOffset(), max(cut.max, h.MaxTimestamp)
	}
	if len(cut.bytes) == 0 {
		return nil
	}
	return []*chunk{cut}
}

// seal gives back the memory behind the last batch.
func (s *segment) seal() {
	if len(s.chunks) == 0 {
		return
	}
	c := s.chunks[len(s.chunks)-1]
	if n := len(c.bytes); cap(c.bytes)-n > n/8 {
		c.bytes = append(make(record.Batches, 0, n), c.bytes...)
	}
}
