package peer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxCalls is how many calls to one broker are under way at a time. At the limit the next one waits.
const maxCalls = 4096

// link is one connection for calls, at the caller's side.
type link struct {
	nc      net.Conn
	self    identity // as it was told
	maxBody int
	out     *outbox
	slots   chan struct{} // one token for each call under way

	mu      sync.Mutex // guards what follows; taken before outbox.mu
	pending map[uint64]chan<- result
	last    uint64
	retired bool  // ends when nothing is pending
	err     error // why it is broken; nil: it is not
}

// result is what came of a call.
type result struct {
	body []byte
	err  error // of the handler
	lost error // the connection broke before
}

// newLink makes use of a connection that has been greeted. Its goroutines end with it, and Close of p waits for them.
func (p *Peers) newLink(g greeted) *link {
	l := &link{
		nc: g.Conn, self: g.self, maxBody: p.opts.MaxBody, out: newOutbox(g.Conn), slots: make(chan struct{}, maxCalls),
		pending: map[uint64]chan<- result{},
	}
	p.wg.Go(func() { l.end(l.out.run(p.pingEvery)) })
	p.wg.Go(func() { l.end(l.read(bufio.NewReaderSize(patientReader{g.Conn, p.maxSilence}, 16<<10))) })
	return l
}

// call makes one call. asked is false if nothing of it can have reached the other side.
func (l *link) call(ctx context.Context, method string, body []byte) (answer []byte, asked bool, err error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.out.done:
		return nil, false, notAsked(method, errClosed)
	case <-ctx.Done():
		return nil, false, ended(ctx, method)
	}
	defer func() { <-l.slots }()
	came := make(chan result, 1)
	id, err := l.begin(came)
	if err != nil {
		return nil, false, notAsked(method, err)
	}
	err = l.out.push(ctx, headerSize+1+len(method)+len(body), func(dst []byte) []byte { return appendCall(dst, id, method, body) })
	if err != nil {
		l.forget(id)
		if ctx.Err() != nil {
			return nil, false, ended(ctx, method)
		}
		return nil, false, notAsked(method, err)
	}
	select {
	case r := <-came:
		if r.lost != nil {
			return nil, true, broken(method, r.lost)
		}
		return r.body, true, r.err
	case <-ctx.Done():
		if l.forget(id) {
			l.out.offer(appendHeader(nil, cancelKind, id, 0))
		}
		return nil, true, ended(ctx, method)
	}
}

// begin notes a call that is to be made.
func (l *link) begin(came chan<- result) (id uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.last++
	l.pending[l.last] = came
	return l.last, nil
}

// forget takes a call out of the pending ones; false if it was none.
func (l *link) forget(id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.takeLocked(id)
	return ok
}

// deliver hands an answer to who waits for it, if anybody does.
func (l *link) deliver(id uint64, r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if came, ok := l.takeLocked(id); ok {
		came <- r // there is room for one
	}
}

// takeLocked takes a call out of the pending ones. With the last one a retired link ends.
func (l *link) takeLocked(id uint64) (chan<- result, bool) {
	came, ok := l.pending[id]
	delete(l.pending, id)
	if l.retired && len(l.pending) == 0 {
		l.endLocked(errClosed)
	}
	return came, ok
}

// read takes answers until the connection ends.
func (l *link) read(r *bufio.Reader) error {
	for {
		h, err := readHeader(r, l.maxBody)
		if err != nil {
			return err
		}
		switch h.kind {
		case pingKind:
		case answerKind, failureKind:
			b, err := readBytes(r, h.size)
			if err != nil {
				return err
			}
			if h.kind == failureKind {
				l.deliver(h.id, result{err: parseFailure(b)})
			} else {
				l.deliver(h.id, result{body: b})
			}
		default:
			return fmt.Errorf("%w: kind %d is not a server's", errFrame, h.kind)
		}
	}
}

// readBytes reads n bytes that are not pooled.
func readBytes(r io.Reader, n int) ([]byte, error) {
	if n > firstRoom {
		f, err := readBuffer(r, n, 0)
		if err != nil {
			return nil, err
		}
		return f.b, nil // the buffer does not go back to its pool
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// end breaks the connection, once; all who wait get an error.
func (l *link) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked(err)
}

func (l *link) endLocked(err error) {
	if l.err != nil {
		return
	}
	if err == nil {
		err = errClosed
	}
	l.err = err
	l.out.close()
	_ = l.nc.Close()
	for id, came := range l.pending {
		came <- result{lost: err}
		delete(l.pending, id)
	}
}

// live reports whether calls of self can be made. A link that introduced this node as somebody else ends when its calls have ended.
func (l *link) live(self identity) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.self == self {
		return true
	}
	l.retired = true
	if len(l.pending) == 0 {
		l.endLocked(errClosed)
	}
	return false
}
