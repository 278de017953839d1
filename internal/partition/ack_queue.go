package partition

import (
	"math"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// ackQueue holds the appends that are not yet committed, in the order of their offsets. It is guarded by the lock of waiting. Its
// length is bounded by the bytes that an engine lets wait for the disk; where followers are waited for, by the requests that wait, and by mostUnwaited.
type ackQueue struct {
	entries []ackEntry // entries[head:] are waiting
	head    int
}

// ackEntry is one append.
type ackEntry struct {
	next   kafka.Offset // committed when the high watermark is here
	waiter *AckWaiter   // nil: nobody waits (acks=0, or who waited gave up)
	slot   int32
	bytes  int32 // for fetches that wait for some; 0 for a repeat of a batch
}

// keptEntries is how many entries an empty queue keeps room for.
const keptEntries = 256

// mostUnwaited is how many entries for which nobody waits are kept apart. Where the high watermark stands still, because too few replicas are in sync, and
// acks=1 goes on, they are put together beyond that: who waits for their bytes then waits until all of them are committed.
const mostUnwaited = 1 << 14

// isEmpty reports whether nothing waits.
func (q *ackQueue) isEmpty() bool { return q.head == len(q.entries) }

// push puts e in its place, which is the end unless it is a repeat of an earlier batch.
func (q *ackQueue) push(e ackEntry) {
	// Moving what waits to the front costs as much as what waits, so it must free as much.
	if len(q.entries) == cap(q.entries) && q.head >= len(q.entries)/2 && q.head > 0 {
		n := copy(q.entries, q.entries[q.head:])
		clear(q.entries[n:])
		q.entries, q.head = q.entries[:n], 0
	}
	at := len(q.entries)
	if at-q.head >= mostUnwaited && e.waiter == nil && e.next > q.entries[at-1].next && q.entries[at-1].waiter == nil {
		last := &q.entries[at-1]
		last.next, last.bytes = e.next, int32(min(int64(last.bytes)+int64(e.bytes), math.MaxInt32))
		return
	}
	for at > q.head && q.entries[at-1].next > e.next {
		at--
	}
	if at == len(q.entries) {
		q.entries = append(q.entries, e)
		return
	}
	q.entries = slices.Insert(q.entries, at, e)
}

// pop moves the entries up to the high watermark into dst, as many as fit, and returns their number and their bytes.
func (q *ackQueue) pop(hw kafka.Offset, dst []ackEntry) (n, bytes int) {
	for n < len(dst) && q.head < len(q.entries) && q.entries[q.head].next <= hw {
		dst[n] = q.entries[q.head]
		bytes += int(dst[n].bytes)
		q.entries[q.head] = ackEntry{}
		q.head++
		n++
	}
	if q.head == len(q.entries) {
		q.entries, q.head = q.entries[:0], 0
		if cap(q.entries) > keptEntries {
			q.entries = nil
		}
	}
	return n, bytes
}

// takeAll empties the queue.
func (q *ackQueue) takeAll() []ackEntry {
	all := q.entries[q.head:]
	q.entries, q.head = nil, 0
	return all
}

// forget takes w off its entries, which stay for their bytes, and returns how many there were with their slots appended to dst.
func (q *ackQueue) forget(w *AckWaiter, dst []int32) []int32 {
	for i := q.head; i < len(q.entries); i++ {
		if e := &q.entries[i]; e.waiter == w {
			dst = append(dst, e.slot)
			e.waiter = nil
		}
	}
	return dst
}
