package seglog

import (
	"io"
	"net"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// extent is whole batches in memory.
type extent struct {
	parts  net.Buffers
	blocks []*block
	n      int

	// For a read that goes on: where it ended in its segment, whether the segment ends there, and the offset after the segment.
	end   int64
	after kafka.Offset
	ends  bool
	next  kafka.Offset
	gen   uint64 // of the log: what two reads found belongs together only if nothing was cut between them
}

// add puts more behind x, which takes over its references.
func (x *extent) add(more *extent) {
	x.parts = append(x.parts, more.parts...)
	x.blocks = append(x.blocks, more.blocks...)
	x.n += more.n
	x.end, x.ends, x.next = more.end, more.ends, more.next
}

// Len implements storage.Extent.
func (x *extent) Len() int { return x.n }

// WriteTo implements io.WriterTo; to a TCP connection it is one writev.
func (x *extent) WriteTo(w io.Writer) (int64, error) {
	parts := append(net.Buffers(nil), x.parts...) // WriteTo consumes what it is given
	return parts.WriteTo(w)
}

// Parts are the bytes in order, for who gathers several extents into one write. Valid until Release.
func (x *extent) Parts() [][]byte { return x.parts }

// Bytes implements storage.Extent.
func (x *extent) Bytes() (record.Batches, error) {
	if len(x.parts) == 1 {
		return record.Batches(x.parts[0]), nil
	}
	b := make([]byte, 0, x.n)
	for _, p := range x.parts {
		b = append(b, p...)
	}
	return b, nil
}

// Release implements storage.Extent.
func (x *extent) Release() {
	for _, b := range x.blocks {
		b.release()
	}
	x.blocks, x.parts = nil, nil
}
