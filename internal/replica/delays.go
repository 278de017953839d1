package replica

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/partition"
)

// deliverMemory is how many bytes of delayed records the partitions of a node may have read ahead together.
const deliverMemory = 64 << 20

// deliverPatience is how long an error of one partition is not logged again.
const deliverPatience = time.Minute

// schedule is when which partition has delayed records to release.
type schedule struct {
	kick chan struct{} // the first time in it may have changed

	mu    sync.Mutex // guards what follows; a leaf
	byKey map[*partition.Partition]*appointment
	queue appointments
	bytes int64 // read ahead by all
}

// appointment is one partition's.
type appointment struct {
	p      *partition.Partition
	at     time.Time
	place  int   // in the queue, -1: not in it
	bytes  int64 // read ahead
	logged time.Time
}

func newSchedule() *schedule {
	return &schedule{kick: make(chan struct{}, 1), byKey: map[*partition.Partition]*appointment{}}
}

// due makes an appointment, or an earlier one than there was.
func (s *schedule) due(p *partition.Partition, at time.Time) {
	s.mu.Lock()
	a := s.byKey[p]
	if a == nil {
		a = &appointment{p: p, place: -1}
		s.byKey[p] = a
	}
	first := false
	switch {
	case a.place < 0:
		a.at = at
		heap.Push(&s.queue, a)
		first = a.place == 0
	case at.Before(a.at):
		a.at = at
		heap.Fix(&s.queue, a.place)
		first = a.place == 0
	}
	s.mu.Unlock()
	if first {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// next takes the appointment that is due off the queue. Without one it says how long until the first, or that there is none.
func (s *schedule) next(now time.Time) (due *appointment, room int64, wait time.Duration, any bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil, 0, 0, false
	}
	a := s.queue[0]
	if wait = a.at.Sub(now); wait > 0 {
		return nil, 0, wait, true
	}
	heap.Pop(&s.queue)
	return a, deliverMemory - (s.bytes - a.bytes), 0, true
}

// kept makes the next appointment after one that was kept, which forgets a partition that has none.
func (s *schedule) kept(a *appointment, d partition.Delivered) {
	s.mu.Lock()
	s.bytes += d.InMemory - a.bytes
	a.bytes = d.InMemory
	if d.Next.IsZero() && a.place < 0 && a.bytes == 0 {
		delete(s.byKey, a.p)
	}
	s.mu.Unlock()
	if !d.Next.IsZero() {
		s.due(a.p, d.Next)
	}
}

// appointments are a heap by time.
type appointments []*appointment

func (q appointments) Len() int           { return len(q) }
func (q appointments) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q appointments) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *appointments) Push(x any) {
	a := x.(*appointment)
	a.place = len(*q)
	*q = append(*q, a)
}
func (q *appointments) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	a.place = -1
	return a
}

// deliver releases delayed records when their time comes, until Close.
func (m *Manager) deliver(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		a, room, wait, any := m.delays.next(m.opts.Now())
		if a != nil {
			if ctx.Err() != nil {
				return
			}
			m.deliverOne(a, room)
			continue
		}
		if any {
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-m.delays.kick:
		case <-ctx.Done():
			return
		}
	}
}

func (m *Manager) deliverOne(a *appointment, room int64) {
	now := m.opts.Now()
	d, err := a.p.Deliver(now, room)
	if err != nil && now.Sub(a.logged) >= deliverPatience {
		a.logged = now
		m.opts.Logger.Error("delayed records are not released and are tried again", "log", a.p.ID().String(), "err", err)
	}
	m.delays.kept(a, d)
}

// expectDelays has the partitions of a topic looked at that may have delayed records from before the start, or from before they were led here.
func (m *Manager) expectDelays(t *Topic) {
	if t.settings == nil || !t.settings.Rules.Delays {
		return
	}
	for p := range t.Partitions() {
		if m.MayHaveData(p) {
			m.delays.due(p, time.Time{})
		}
	}
}
