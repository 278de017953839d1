package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// session is one connection for calls, at the server's side.
type session struct {
	s      *Server
	nc     net.Conn
	caller Caller
	out    *outbox
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	slots  chan struct{}  // one token for each call under way
	work   sync.WaitGroup // handlers and the writer

	mu      sync.Mutex // guards running; a leaf
	running map[uint64]context.CancelFunc
}

// serveCalls answers the hello behind the magic, and then calls until the connection ends.
func (s *Server) serveCalls(nc net.Conn) error {
	h, err := s.greet(nc)
	if err != nil {
		return err
	}
	c := &session{
		s: s, nc: nc, out: newOutbox(nc), slots: make(chan struct{}, maxHandlers), running: map[uint64]context.CancelFunc{},
		caller: Caller{Node: h.node, ClusterID: h.clusterID, Remote: nc.RemoteAddr(), Conn: s.lastConn.Add(1)},
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	defer c.work.Wait()
	c.work.Go(func() {
		defer c.end() // a read that waits must not outlive the writer
		_ = c.out.run(s.pingEvery)
	})
	defer c.end()
	err = c.read()
	c.end()
	if h.node != kafka.NoBroker && h.flags&onlyOnce == 0 && s.opts.OnClosed != nil && s.ctx.Err() == nil {
		s.opts.OnClosed(c.caller)
	}
	return err
}

// end breaks the connection, so that all its goroutines end.
func (c *session) end() {
	c.cancel()
	c.out.close()
	_ = c.nc.Close()
}

// greet reads a hello and answers it.
func (s *Server) greet(nc net.Conn) (hello, error) {
	if err := nc.SetReadDeadline(time.Now().Add(firstTimeout)); err != nil {
		return hello{}, err
	}
	h, err := readHello(nc)
	if err != nil {
		return hello{}, err
	}
	w := welcome{version: min(h.highest, highestVersion), node: s.opts.Node(), clusterID: s.opts.ClusterID()}
	var refusal *kafka.Error
	switch {
	case w.version < max(h.lowest, lowestVersion):
		refusal = kafka.Errorf(kafka.UnsupportedVersion, "the broker speaks versions %d to %d of the peer protocol, you speak %d to %d: upgrade the older one, one version at a time",
			lowestVersion, highestVersion, h.lowest, h.highest)
	case w.clusterID != "" && h.clusterID != "" && w.clusterID != h.clusterID:
		refusal = kafka.Errorf(kafka.InconsistentClusterID, "the broker is of cluster %s, you are of cluster %s: check --join and the data directory", w.clusterID, h.clusterID)
	}
	if refusal != nil {
		w.version, w.code, w.message = 0, refusal.Code, refusal.Message
		s.warn("refused another broker", "remote", nc.RemoteAddr(), "node", h.node, "error", refusal)
	}
	if err := writeAll(nc, w.appendTo(nil)); err != nil {
		return hello{}, err
	}
	if refusal != nil {
		return hello{}, refusal
	}
	return h, nil
}

// read takes frames until the connection ends.
func (c *session) read() error {
	r := bufio.NewReaderSize(patientReader{c.nc, c.s.maxSilence}, 16<<10)
	shown := 0
	for {
		h, err := readHeader(r, c.s.opts.MaxBody)
		if err != nil {
			return c.protocolError(err)
		}
		switch h.kind {
		case pingKind:
		case cancelKind:
			c.interrupt(h.id)
		case callKind:
			if err := c.take(r, h, shown); err != nil {
				return c.protocolError(err)
			}
			shown = max(shown, h.size)
		default:
			return c.protocolError(fmt.Errorf("%w: kind %d is not a caller's", errFrame, h.kind))
		}
	}
}

// protocolError warns of what no broker should send.
func (c *session) protocolError(err error) error {
	if errors.Is(err, errFrame) {
		c.s.warn("closed the connection of a broker that broke the peer protocol; if both run a release, this is a bug", "remote", c.caller.Remote, "node", c.caller.Node, "error", err)
	}
	return err
}

// take reads a call and starts its handler. While there are too many, or too many bytes, it waits.
func (c *session) take(r *bufio.Reader, h header, shown int) error {
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return errClosed
	}
	held, err := c.s.memory.Acquire(c.ctx.Done(), int64(h.size))
	if err != nil {
		<-c.slots
		return errClosed
	}
	drop := func(b *buffer) {
		if b != nil {
			b.free()
		}
		c.s.memory.Release(held)
		<-c.slots
	}
	b, err := readBuffer(r, h.size, shown)
	if err != nil {
		drop(nil)
		return err
	}
	method, body, err := parseCall(b.b)
	if err == nil && len(body) > c.s.opts.MaxBody {
		err = fmt.Errorf("%w: a body of %d bytes, allowed are %d", errFrame, len(body), c.s.opts.MaxBody)
	}
	var ctx context.Context
	if err == nil {
		ctx, err = c.begin(h.id)
	}
	if err != nil {
		drop(b)
		return err
	}
	name := string(method)
	c.s.calls.Add(1)
	c.work.Go(func() {
		defer drop(b)
		answer, err := c.invoke(ctx, name, body)
		awaited := ctx.Err() == nil
		c.finish(h.id)
		if awaited {
			c.answer(h.id, answer, err)
		}
	})
	return nil
}

// begin notes that a call is under way. Its id must be new.
func (c *session) begin(id uint64) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[id] != nil {
		return nil, fmt.Errorf("%w: call %d is under way already", errFrame, id)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.running[id] = cancel
	return ctx, nil
}

// interrupt ends the context of a call, if it is under way.
func (c *session) interrupt(id uint64) {
	c.mu.Lock()
	cancel := c.running[id]
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// finish notes that a call has returned.
func (c *session) finish(id uint64) {
	c.mu.Lock()
	cancel := c.running[id]
	delete(c.running, id)
	c.mu.Unlock()
	cancel()
}

// invoke calls the handler; a panic of it is an answer like any other.
func (c *session) invoke(ctx context.Context, method string, body []byte) (answer []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.s.log.Error("a call of another broker made its handler panic: this is a bug, please report it", "method", method, "node", c.caller.Node, "panic", r, "stack", string(debug.Stack()))
			answer, err = nil, kafka.Errorf(kafka.UnknownServerError, "%s failed on the broker that was asked; its log says why", method)
		}
	}()
	f := c.s.opts.Methods[method]
	if f == nil {
		f = c.s.opts.More(method)
	}
	if f == nil {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "the broker that was asked does not serve %q: it has not started yet, or is of an older version", method)
	}
	return f(ctx, c.caller, body)
}

// answer queues what came of a call. Where the connection has ended nobody waits for it.
func (c *session) answer(id uint64, body []byte, err error) {
	if err == nil && len(body) > c.s.opts.MaxBody {
		err = kafka.Errorf(kafka.MessageTooLarge, "the answer has %d bytes, allowed are %d", len(body), c.s.opts.MaxBody)
	}
	if err != nil {
		code, message := failureOf(err)
		_ = c.out.push(c.ctx, headerSize+2+len(message), func(dst []byte) []byte { return appendFailure(dst, id, code, message) })
		return
	}
	_ = c.out.push(c.ctx, headerSize+len(body), func(dst []byte) []byte { return appendAnswer(dst, id, body) })
}
