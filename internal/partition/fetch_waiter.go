package partition

import (
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
)

// FetchWaiter waits until enough new bytes are readable in any of a request's partitions. It is made to be used again and again:
// Start, Await for each partition, then Done; Stop when the waiting is over, whoever ended it.
//
// A signal may come once too often (a partition that had already taken the waiter off its list may signal after Stop), so who wakes
// reads and, if it is not enough, waits again. It never comes too seldom.
type FetchWaiter struct {
	missing atomic.Int64 // bytes
	done    chan struct{}
	nodes   []fetchNode
}

// fetchNode is a waiter's place in the list of one partition.
type fetchNode struct {
	waiter     *FetchWaiter
	partition  *Partition
	from       kafka.Offset // only a high watermark, a last stable offset or a log end beyond it matters
	isolation  Isolation    // which of the three
	prev, next *fetchNode   // guarded by the partition's lock of waiting, as is listed
	listed     bool
}

// fetchList is the waiters of one partition.
type fetchList struct{ first *fetchNode }

func (l *fetchList) add(n *fetchNode) {
	n.prev, n.next, n.listed = nil, l.first, true
	if l.first != nil {
		l.first.prev = n
	}
	l.first = n
}

func (l *fetchList) remove(n *fetchNode) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	n.prev, n.next, n.listed = nil, nil, false
}

// arrival says that so many bytes became readable, and up to where that is now.
type arrival struct {
	upto  kafka.Offset
	bytes int
}

// arrivals are what became readable for each isolation. The zero value of one is nothing new.
type arrivals [throughEnd + 1]arrival

// take removes who has waited for enough, and appends them to dst.
func (l *fetchList) take(dst []*FetchWaiter, came arrivals) []*FetchWaiter {
	for n := l.first; n != nil; {
		next := n.next
		if c := &came[n.isolation]; c.upto > n.from && n.waiter.missing.Add(-int64(c.bytes)) <= 0 {
			l.remove(n)
			dst = append(dst, n.waiter)
		}
		n = next
	}
	return dst
}

// takeAll empties the list.
func (l *fetchList) takeAll() (all []*FetchWaiter) {
	for l.first != nil {
		all = append(all, l.first.waiter)
		l.remove(l.first)
	}
	return all
}

// NewFetchWaiter returns a waiter that Start makes ready.
func NewFetchWaiter() *FetchWaiter { return &FetchWaiter{done: make(chan struct{}, 1)} }

// Start makes w ready to wait for so many bytes (at least one) in at most so many partitions.
func (w *FetchWaiter) Start(bytes, partitions int) {
	w.missing.Store(int64(max(bytes, 1)))
	select {
	case <-w.done:
	default:
	}
	if cap(w.nodes) < partitions {
		w.nodes = make([]fetchNode, 0, partitions)
	}
	w.nodes = w.nodes[:0]
}

// Done signals that it is worth reading again.
func (w *FetchWaiter) Done() <-chan struct{} { return w.done }

func (w *FetchWaiter) wake() {
	select {
	case w.done <- struct{}{}:
	default:
	}
}

// Await waits for what follows from in p, in the isolation of read. What has become readable since read counts. It reports false if that is enough, or if the
// role is not the one of that read: then it is time to read again. Not more calls than Start was told.
func (w *FetchWaiter) Await(p *Partition, from kafka.Offset, read *Read) bool {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	if p.role.Load() != read.role || p.Failed() != nil {
		return false
	}
	if arrived := p.arrived(read.isolation) - read.arrived; arrived > 0 && w.missing.Add(-arrived) <= 0 {
		return false
	}
	w.nodes = append(w.nodes, fetchNode{waiter: w, partition: p, from: from, isolation: read.isolation})
	p.waiting.fetches.add(&w.nodes[len(w.nodes)-1])
	return true
}

// Stop ends the waiting in all partitions.
func (w *FetchWaiter) Stop() {
	for i := range w.nodes {
		n := &w.nodes[i]
		n.partition.waiting.Lock()
		if n.listed {
			n.partition.waiting.fetches.remove(n)
		}
		n.partition.waiting.Unlock()
		n.partition = nil
	}
	w.nodes = w.nodes[:0]
}
