package listen

import (
	"container/list"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Why a connection is refused.
var (
	errFull   = errors.New("max.connections is reached")
	errClosed = errors.New("the server is stopping")
)

const (
	// silence is how long a connection may say nothing before another may have its place.
	silence = time.Second
	// sayEvery is how often refusals are logged at most.
	sayEvery = 10 * time.Second
)

// limits counts the connections (LSN-2).
type limits struct {
	max, perIP int

	// mu guards what is below, for memory work only.
	mu       sync.Mutex
	conns    map[*Conn]struct{}
	byIP     map[netip.Addr]int
	silent   list.List // of *Conn that have not said anything, oldest first
	closed   bool
	opened   uint64
	refused  uint64
	evicted  uint64
	lastSaid time.Time
}

// admit counts c, or says why not. evict, if not nil, has to make room for it: its owner sees it closed and leaves.
func (l *limits) admit(c *Conn) (evict *Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, errClosed
	case l.perIP > 0 && l.byIP[c.ip] >= l.perIP:
		l.refused++
		return nil, fmt.Errorf("max.connections.per.ip (%d) is reached", l.perIP)
	case len(l.conns) >= l.max:
		oldest := l.silent.Front()
		if oldest == nil || c.accepted.Sub(oldest.Value.(*Conn).accepted) < silence {
			l.refused++
			return nil, errFull
		}
		evict = oldest.Value.(*Conn)
		l.removeLocked(evict)
		l.evicted++
	}
	l.conns[c] = struct{}{}
	l.byIP[c.ip]++
	l.opened++
	c.place = l.silent.PushBack(c)
	return evict, nil
}

// spoke notes that c has sent its first byte.
func (l *limits) spoke(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsilenceLocked(c)
}

func (l *limits) unsilenceLocked(c *Conn) {
	if c.place != nil {
		l.silent.Remove(c.place)
		c.place = nil
	}
}

// leave uncounts c, once.
func (l *limits) leave(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(c)
}

func (l *limits) removeLocked(c *Conn) {
	if _, counted := l.conns[c]; !counted {
		return
	}
	delete(l.conns, c)
	l.unsilenceLocked(c)
	if l.byIP[c.ip]--; l.byIP[c.ip] == 0 {
		delete(l.byIP, c.ip)
	}
}

func (l *limits) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// each calls f for every connection, under the lock.
func (l *limits) each(f func(*Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		f(c)
	}
}

// sayRefused reports whether a refusal may be logged now.
func (l *limits) sayRefused(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.lastSaid) < sayEvery {
		return false
	}
	l.lastSaid = now
	return true
}

// Stats counts connections of all doors.
type Stats struct {
	Open, Silent, Max int    // now; silent ones have not sent a byte
	Opened            uint64 // ever
	Refused           uint64 // at a limit
	Evicted           uint64 // silent ones that made room
}

func (l *limits) stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{Open: len(l.conns), Silent: l.silent.Len(), Max: l.max, Opened: l.opened, Refused: l.refused, Evicted: l.evicted}
}
