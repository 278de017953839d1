package replica

import (
	"context"
	"sync"
	"time"
)

// limit gives one wait after the other a context that ends with the parent's, after a time, or when it is interrupted. It is made anew only after
// it ended: a wait that succeeds allocates nothing. One goroutine waits at a time; any may interrupt.
type limit struct {
	parent context.Context

	mu          sync.Mutex // guards what follows; a leaf
	ctx         context.Context
	cancel      context.CancelFunc
	timer       *time.Timer // ends ctx; stopped between waits
	waiting     bool
	interrupted bool
}

// begin returns the context of a wait that takes d at most. end follows.
func (l *limit) begin(d time.Duration) context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting, l.interrupted = true, false
	if l.ctx == nil || l.ctx.Err() != nil {
		if l.cancel != nil {
			l.cancel()
		}
		l.ctx, l.cancel = context.WithCancel(l.parent)
		l.timer = time.AfterFunc(d, l.cancel)
	} else {
		l.timer.Reset(d)
	}
	return l.ctx
}

// end ends a wait, and reports whether it was interrupted.
func (l *limit) end() (interrupted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	l.waiting = false
	return l.interrupted
}

// interrupt ends the context of the wait that is under way, if there is one.
func (l *limit) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting {
		l.interrupted = true
		l.cancel()
	}
}

// busy reports whether a wait is under way.
func (l *limit) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}

// close frees what the last context holds.
func (l *limit) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
		l.timer.Stop()
	}
}
