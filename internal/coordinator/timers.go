package coordinator

import (
	"container/heap"
	"sync"
	"time"
)

// timers fires the timers of all shards of a runtime from one goroutine.
type timers struct {
	now  func() time.Time
	wake chan struct{} // buffered by one: the first timer has changed

	mu    sync.Mutex // a leaf; nothing runs under it
	byKey map[timerKey]*timer
	queue timerQueue
}

// timerKey names a timer: its shard's host, and the shard's name for it.
type timerKey struct {
	host any
	key  string
}

type timer struct {
	Timer
	of   timerKey
	due  time.Time
	fire func(*timer)
	at   int // in the queue; -1: it is due and waits for its shard
}

func (t *timers) init(now func() time.Time) {
	t.now, t.wake, t.byKey = now, make(chan struct{}, 1), map[timerKey]*timer{}
}

// set sets, replaces or takes away a timer, as of the time of the operation that wanted it.
func (t *timers) set(k timerKey, to Timer, from time.Time, fire func(*timer)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byKey[k]
	if to.Fn == nil {
		if old != nil {
			t.remove(old)
		}
		return
	}
	due := from.Add(to.After)
	if old == nil || old.at < 0 {
		old = &timer{of: k}
		t.byKey[k] = old
		old.Timer, old.due, old.fire = to, due, fire
		heap.Push(&t.queue, old)
	} else {
		old.Timer, old.due, old.fire = to, due, fire
		heap.Fix(&t.queue, old.at)
	}
	if t.queue[0] == old {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// claim reports whether a timer that is due is still the one of its key, and forgets it. The lock of its shard is held, so that no operation
// changes that in between.
func (t *timers) claim(due *timer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey[due.of] != due {
		return false
	}
	delete(t.byKey, due.of)
	return true
}

// drop takes away all timers of a host.
func (t *timers) drop(host any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, old := range t.byKey {
		if k.host == host {
			t.remove(old)
		}
	}
}

func (t *timers) remove(old *timer) {
	if old.at >= 0 {
		heap.Remove(&t.queue, old.at)
	}
	delete(t.byKey, old.of)
}

// next takes a timer that is due off the queue; claim makes sure that it is still wanted. Otherwise wait says how long there is none.
func (t *timers) next() (due *timer, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil, time.Hour
	}
	first := t.queue[0]
	if wait = first.due.Sub(t.now()); wait > 0 {
		return nil, wait
	}
	heap.Pop(&t.queue)
	return first, 0
}

// run fires timers until closed.
func (t *timers) run(closed <-chan struct{}) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		due, wait := t.next()
		if due != nil {
			due.fire(due)
			continue
		}
		clock.Reset(wait)
		select {
		case <-clock.C:
		case <-t.wake:
		case <-closed:
			return
		}
	}
}

// timerQueue is a heap by due time.
type timerQueue []*timer

func (q timerQueue) Len() int           { return len(q) }
func (q timerQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q timerQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *timerQueue) Push(x any) {
	t := x.(*timer)
	t.at = len(*q)
	*q = append(*q, t)
}

func (q *timerQueue) Pop() any {
	old := *q
	n := len(old) - 1
	t := old[n]
	old[n] = nil
	t.at = -1
	*q = old[:n]
	return t
}
