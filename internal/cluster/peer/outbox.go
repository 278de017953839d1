package peer

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// outboxLimit is how many bytes may wait for the writer; a frame may be larger if nothing waits before it. Who has more waits.
	outboxLimit = 4 << 20
	// outboxKeep is the largest buffer that an outbox keeps for later.
	outboxKeep = 256 << 10
)

// outbox is what is to be written to a connection. Whoever has a frame appends it; one goroutine writes all that has come together
// in one go, so that many small frames cost one write.
type outbox struct {
	nc   net.Conn
	wake chan struct{} // capacity 1: there is something
	done chan struct{} // closed by close

	mu     sync.Mutex // guards what follows; append functions of push take only leaves
	buf    []byte     // to be written next
	spare  []byte     // empty, to be used again
	room   chan struct{}
	closed bool
}

func newOutbox(nc net.Conn) *outbox {
	return &outbox{nc: nc, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// push appends n bytes by calling add under the lock, once there is room. It returns ctx's error, or errClosed; add was not called then.
func (o *outbox) push(ctx context.Context, n int, add func([]byte) []byte) error {
	for {
		wait, err := o.add(n, add)
		if wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-o.done:
			return errClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// add appends if there is room; else it returns what is closed when there may be.
func (o *outbox) add(n int, add func([]byte) []byte) (wait <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return nil, errClosed
	case len(o.buf) > 0 && len(o.buf)+n > outboxLimit:
		if o.room == nil {
			o.room = make(chan struct{})
		}
		return o.room, nil
	}
	o.buf = add(o.buf)
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil, nil
}

// offer appends a small frame if there is room, and forgets it otherwise.
func (o *outbox) offer(frame []byte) {
	_, _ = o.add(len(frame), func(dst []byte) []byte { return append(dst, frame...) })
}

// take gives what is to be written; all who wait for room may try again.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf
	o.buf, o.spare = o.spare, nil
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	return b
}

// giveBack keeps a buffer that has been written, if it is not too large.
func (o *outbox) giveBack(b []byte) {
	if cap(b) > outboxKeep {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.spare = b[:0]
}

// run writes until close (nil) or the first error. With every > 0 it writes a ping whenever it wrote nothing for so long.
func (o *outbox) run(every time.Duration) error {
	var tick <-chan time.Time
	if every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	ping := appendHeader(nil, pingKind, 0, 0)
	wrote := false
	for {
		select {
		case <-o.wake:
		case <-tick:
			if !wrote {
				o.offer(ping)
			}
			wrote = false
		case <-o.done:
			return nil
		}
		b := o.take()
		if len(b) == 0 {
			continue
		}
		if err := writeAll(o.nc, b); err != nil {
			return err
		}
		wrote = true
		o.giveBack(b)
	}
}

// close ends run; what was not written is dropped.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		close(o.done)
	}
}
