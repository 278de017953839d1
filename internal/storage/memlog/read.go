package memlog

import (
	"io"
	"net"
	"sort"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Read implements storage.Log. The extent aliases the log's memory.
func (l *Log) Read(from kafka.Offset, lim storage.ReadLimit) (storage.Extent, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if from < l.start || from > l.end {
		return nil, kafka.Errorf(kafka.OffsetOutOfRange, "offset %d of %s, which has %d to %d", from, l.id, l.start, l.end)
	}
	below := l.end
	if lim.Below != kafka.NoOffset {
		below = min(below, lim.Below)
	}
	x := &extent{}
	for _, s := range l.segments[l.find(from):] {
		for _, c := range s.chunks[s.find(from):] {
			if c.base >= below || !x.take(c, from, below, lim.MaxBytes) {
				return x.orNil(), nil
			}
		}
	}
	return x.orNil(), nil
}

// find is the index of the first segment that reaches above from; the last one if none does.
func (l *Log) find(from kafka.Offset) int {
	return min(sort.Search(len(l.segments), func(i int) bool { return l.segments[i].next > from }), len(l.segments)-1)
}

// extent is batches in one or more chunks. The garbage collector keeps their memory, so Release has nothing to do.
type extent struct {
	parts net.Buffers
	first [1][]byte // room for the usual one part
	n     int
}

// take adds what of c is in the limits and reports whether the next chunk may be looked at.
func (x *extent) take(c *chunk, from, below kafka.Offset, maxBytes int) bool {
	b := c.bytes
	if c.base < from {
		b = c.from(from)
	}
	n := len(b)
	if x.n+n > maxBytes || c.next > below {
		n = 0
		for h, batch := range b.All() {
			if h.BaseOffset >= below || x.n+n > 0 && x.n+n+len(batch) > maxBytes {
				break
			}
			n += len(batch)
		}
	}
	if n > 0 {
		if x.parts == nil {
			x.parts = x.first[:0]
		}
		x.parts = append(x.parts, b[:n:n])
		x.n += n
	}
	return n == len(b)
}

func (x *extent) orNil() storage.Extent {
	if x.n == 0 {
		return nil
	}
	return x
}

// Len implements storage.Extent.
func (x *extent) Len() int { return x.n }

// WriteTo implements io.WriterTo: one writev on a connection.
func (x *extent) WriteTo(w io.Writer) (int64, error) {
	parts := append(net.Buffers(nil), x.parts...) // WriteTo consumes its receiver
	return parts.WriteTo(w)
}

// Bytes implements storage.Extent. It copies only if the batches lie in more than one chunk.
func (x *extent) Bytes() (record.Batches, error) {
	if len(x.parts) == 1 {
		return x.parts[0], nil
	}
	b := make(record.Batches, 0, x.n)
	for _, p := range x.parts {
		b = append(b, p...)
	}
	return b, nil
}

// Release implements storage.Extent.
func (x *extent) Release() {}
