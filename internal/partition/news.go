package partition

import (
	"sync"
	"sync/atomic"
)

// News tells one who reads many partitions again and again, as a follower does, which of them are worth reading, so that nobody has to look at those of
// which there is nothing to tell. A partition is noted once, however much happens in it, until Take hands the note out. A note may be of nothing new; it is
// never missing.
type News struct {
	urgent, later chan struct{} // of one each

	mu    sync.Mutex // guards noted; a leaf, taken under the lock of waiting of partitions
	noted []*Subscription
}

// Subscription is a partition's place in News. Its zero value may be copied; after Subscribe it may not. One goroutine at a time subscribes, notes and stops.
type Subscription struct {
	// Owner is whom the subscriber has it for; set before Subscribe.
	Owner any

	news       *News
	partition  *Partition
	noted      atomic.Bool
	prev, next *Subscription // guarded by the partition's lock of waiting
}

// NewNews returns News of nothing.
func NewNews() *News {
	return &News{urgent: make(chan struct{}, 1), later: make(chan struct{}, 1)}
}

// Urgent signals that there is something to read, or that somebody who reads will be told an error.
func (n *News) Urgent() <-chan struct{} { return n.urgent }

// Later signals that an offset has moved that is told along with what is read.
func (n *News) Later() <-chan struct{} { return n.later }

// Take appends what is noted to dst, in the order of the notes, and forgets it. What happens in a partition from now on is noted again.
func (n *News) Take(dst []*Subscription) []*Subscription {
	n.mu.Lock()
	first := len(dst)
	dst = append(dst, n.noted...)
	clear(n.noted)
	n.noted = n.noted[:0]
	n.mu.Unlock()
	for _, s := range dst[first:] {
		s.noted.Store(false)
	}
	return dst
}

// Note notes the subscription in n as if something had happened, without a signal. It need not be to a partition.
func (n *News) Note(s *Subscription) {
	if s.noted.Swap(true) {
		return
	}
	n.mu.Lock()
	n.noted = append(n.noted, s)
	n.mu.Unlock()
}

// Subscribe has n told of the partition by s from now on: what a follower could be told that it was not told before. What is there already is not noted.
func (p *Partition) Subscribe(n *News, s *Subscription) {
	s.news, s.partition = n, p
	w := &p.waiting
	w.Lock()
	defer w.Unlock()
	s.prev, s.next = nil, w.news
	if w.news != nil {
		w.news.prev = s
	}
	w.news = s
}

// Stop ends the subscription, if it is one. A note of it may still be handed out.
func (s *Subscription) Stop() {
	p := s.partition
	if p == nil {
		return
	}
	p.waiting.Lock()
	defer p.waiting.Unlock()
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		p.waiting.news = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next, s.partition = nil, nil, nil
}

// tellNewsLocked notes the partition with everybody who subscribed to it. The lock of waiting is held.
func (p *Partition) tellNewsLocked(urgent bool) {
	for s := p.waiting.news; s != nil; s = s.next {
		s.news.Note(s)
		signal := s.news.later
		if urgent {
			signal = s.news.urgent
		}
		select {
		case signal <- struct{}{}:
		default:
		}
	}
}

// tellNews is tellNewsLocked for who does not hold the lock.
func (p *Partition) tellNews(urgent bool) {
	p.waiting.Lock()
	p.tellNewsLocked(urgent)
	p.waiting.Unlock()
}
