package queue

import (
	"container/heap"
	"sync"
	"time"
)

// timers knows when to look at which share partition again: one goroutine for all of them.
type timers struct {
	mu   sync.Mutex // guards heap and the at and place of what is in it; a leaf
	heap timeHeap
	poke chan struct{} // the earliest time is another one
}

func (t *timers) init() { t.poke = make(chan struct{}, 1) }

// set says when to look at a share partition; zero: not at all.
func (t *timers) set(sp *sharePartition, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if sp.at.Equal(at) {
		return
	}
	sp.at = at
	switch {
	case at.IsZero():
		heap.Remove(&t.heap, sp.place-1)
	case sp.place == 0:
		heap.Push(&t.heap, sp)
	default:
		heap.Fix(&t.heap, sp.place-1)
	}
	if len(t.heap) > 0 && t.heap[0] == sp {
		select {
		case t.poke <- struct{}{}:
		default:
		}
	}
}

// due takes off the heap what is to be looked at now, and says when the next is due; zero: none.
func (t *timers) due(now time.Time, got []*sharePartition) ([]*sharePartition, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.heap) > 0 {
		sp := t.heap[0]
		if sp.at.After(now) {
			return got, sp.at
		}
		heap.Pop(&t.heap)
		sp.at = time.Time{}
		got = append(got, sp)
	}
	return got, time.Time{}
}

// shortestWait keeps a share partition that is due again at once from being looked at all the time.
const shortestWait = time.Millisecond

// sweepInterval is how often share partitions are looked for that nobody can use any more.
const sweepInterval = 5 * time.Minute

// watchTimes is the work of the goroutine.
func (m *Manager) watchTimes() {
	timer := time.NewTimer(sweepInterval)
	defer timer.Stop()
	sweepAt := m.opts.Now().Add(sweepInterval)
	var due []*sharePartition
	for {
		now := m.opts.Now()
		var next time.Time
		due, next = m.timers.due(now, due[:0])
		for i, sp := range due {
			sp.tick(now)
			due[i] = nil
		}
		if !now.Before(sweepAt) {
			m.sweep()
			sweepAt = now.Add(sweepInterval)
		}
		if next.IsZero() || sweepAt.Before(next) {
			next = sweepAt
		}
		wait := max(next.Sub(now), shortestWait)
		if len(due) > 0 {
			wait = shortestWait // what was looked at may be due again
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-m.timers.poke:
		case <-m.ctx.Done():
			return
		}
	}
}

// timeHeap is a heap by time.
type timeHeap []*sharePartition

func (h timeHeap) Len() int           { return len(h) }
func (h timeHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h timeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

// Push implements heap.Interface.
func (h *timeHeap) Push(x any) {
	sp := x.(*sharePartition)
	*h = append(*h, sp)
	sp.place = len(*h)
}

// Pop implements heap.Interface.
func (h *timeHeap) Pop() any {
	old := *h
	sp := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	sp.place = 0
	return sp
}
