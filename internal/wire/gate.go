package wire

import (
	"container/list"
	"errors"
	"sync"
)

// ErrGateClosed says that who waited at a Gate was told to stop.
var ErrGateClosed = errors.New("stopped waiting for memory")

// Gate bounds how many bytes are held at once. Who wants more than is left waits, first come first served. The limit does not change.
type Gate struct {
	limit int64

	// mu guards what is below, for memory work only.
	mu      sync.Mutex
	used    int64     // 0 <= used <= limit
	waiters list.List // of *gateWaiter, oldest first; not empty only while its head does not fit
}

type gateWaiter struct {
	bytes   int64
	granted chan struct{} // closed when bytes have been added to used
	place   *list.Element // in waiters
}

// NewGate returns a Gate that lets limit bytes be held. It panics unless limit is positive.
func NewGate(limit int64) *Gate {
	if limit <= 0 {
		panic("wire: a gate needs a positive limit")
	}
	return &Gate{limit: limit}
}

// Acquire takes n bytes, waiting until they are free or done is closed (ErrGateClosed). Who asks for more than the limit gets the limit:
// it waits until nothing else is held. What was taken must be given to Release.
func (g *Gate) Acquire(done <-chan struct{}, n int64) (taken int64, err error) {
	n = min(n, g.limit)
	if g.tryAcquire(n) {
		return n, nil
	}
	w := g.enqueue(n)
	select {
	case <-w.granted:
		return n, nil
	case <-done:
		g.abandon(w)
		return 0, ErrGateClosed
	}
}

// tryAcquire takes n bytes if that needs no waiting and passes nobody who waits.
func (g *Gate) tryAcquire(n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiters.Len() > 0 || g.used+n > g.limit {
		return false
	}
	g.used += n
	return true
}

func (g *Gate) enqueue(n int64) *gateWaiter {
	w := &gateWaiter{bytes: n, granted: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	w.place = g.waiters.PushBack(w)
	g.grantLocked() // bytes may have come free since tryAcquire
	return w
}

// abandon takes w out of the queue, or gives back what it was granted meanwhile.
func (g *Gate) abandon(w *gateWaiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.granted:
		g.used -= w.bytes
	default:
		g.waiters.Remove(w.place)
	}
	g.grantLocked()
}

// Release gives back n bytes that Acquire had taken.
func (g *Gate) Release(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n < 0 || n > g.used {
		panic("wire: more bytes released than were taken")
	}
	g.used -= n
	g.grantLocked()
}

func (g *Gate) grantLocked() {
	for e := g.waiters.Front(); e != nil; e = g.waiters.Front() {
		w := e.Value.(*gateWaiter)
		if g.used+w.bytes > g.limit {
			return
		}
		g.used += w.bytes
		g.waiters.Remove(e)
		close(w.granted)
	}
}

// GateStats is a Gate at one moment.
type GateStats struct {
	Limit, Used int64 // bytes
	Waiting     int   // who waits for bytes
}

// Stats tells how full the gate is.
func (g *Gate) Stats() GateStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateStats{Limit: g.limit, Used: g.used, Waiting: g.waiters.Len()}
}
