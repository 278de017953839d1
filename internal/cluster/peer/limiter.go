package peer

import (
	"sync"
	"time"
)

// warnEvery is how often a Server warns at most.
const warnEvery = 5 * time.Second

// limiter lets one thing through in warnEvery.
type limiter struct {
	mu   sync.Mutex // guards what follows; a leaf
	last time.Time
	left int // not let through since
}

// may reports whether this one may pass, and how many could not before it.
func (l *limiter) may(now time.Time) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < warnEvery {
		l.left++
		return 0, false
	}
	left, l.last, l.left = l.left, now, 0
	return left, true
}
