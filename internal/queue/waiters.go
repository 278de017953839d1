package queue

import "sync/atomic"

// waiter is a fetch that waits for records of share partitions: for those that are released, rest no more, or fit again under a limit. For new
// records in the log it has a partition.FetchWaiter beside.
type waiter struct{ woken chan struct{} }

func newWaiter() *waiter { return &waiter{woken: make(chan struct{}, 1)} }

func (w *waiter) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// place is where a waiter stands in the line of one share partition. Guarded by the share partition's mu.
type place struct {
	waiter     *waiter
	prev, next *place
	listed     bool
}

// waiterList is those who wait for one share partition, the longest first. An event wakes one of them; that one wakes the next when it has
// got something, so that ten thousand waiting consumers cost nothing while there is nothing for them. Whoever was woken and does not look, or
// looks elsewhere, passes the call on (sharePartition.leave).
type waiterList struct{ first, last *place }

func (l *waiterList) add(p *place) {
	p.prev, p.next, p.listed = l.last, nil, true
	if l.last != nil {
		l.last.next = p
	} else {
		l.first = p
	}
	l.last = p
}

func (l *waiterList) remove(p *place) {
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		l.last = p.prev
	}
	p.prev, p.next, p.listed = nil, nil, false
}

// wakeOne takes the first off the list and wakes it.
func (l *waiterList) wakeOne() {
	if p := l.first; p != nil {
		l.remove(p)
		p.waiter.wake()
	}
}

func (l *waiterList) wakeAll() {
	for l.first != nil {
		l.wakeOne()
	}
}

// enter puts a waiter in line. false: this share partition is over, look again.
func (sp *sharePartition) enter(p *place, w *waiter) bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.gone != nil {
		return false
	}
	if !p.listed {
		p.waiter = w
		sp.waiters.add(p)
	}
	return true
}

// leave takes a waiter out of line. If it was called and got nothing here, the next one is called.
func (sp *sharePartition) leave(p *place, served bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	switch {
	case p.listed:
		sp.waiters.remove(p)
	case !served && p.waiter != nil:
		sp.waiters.wakeOne()
	}
	p.waiter = nil
}

// gauge is a number that goes up and down.
type gauge struct{ n atomic.Int64 }

func (g *gauge) add(n int64) { g.n.Add(n) }
func (g *gauge) value() int  { return int(g.n.Load()) }
