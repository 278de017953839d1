package kafkasrv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/wire"
)

// smallFrame is how large a frame may be that says nothing worth more: ApiVersions, or an API that we do not have.
const smallFrame = 64 << 10

// conn is one connection. Its goroutines run work; see the package comment for how they take turns.
type conn struct {
	srv     *Server
	nc      net.Conn
	src     io.Reader // nc, or what was read of it before and then nc
	frames  *wire.FrameReader
	session atomic.Pointer[broker.Session] // replaced, never changed: verbs keep it

	writing atomic.Bool   // a write to nc is under way
	writes  atomic.Uint64 // writes begun
	holding atomic.Bool   // a large answer holds bytes of the gate
	seen    sighting      // the watcher's

	group     *group
	ctx       context.Context // ends when the connection is over
	cancel    context.CancelFunc
	polls     pollContext
	role      chan struct{}  // capacity 1: holds the reading role while nobody has it
	retire    chan struct{}  // capacity 1: tells the second goroutine to end
	two       atomic.Bool    // there is a second goroutine; changed by who has the reading role
	resting   atomic.Bool    // rest was asked for and not noticed yet
	hangingUp atomic.Bool    // the client was told that this is the end
	second    sync.WaitGroup // the goroutine that serve was not called in

	share *broker.Session // that all ShareFetches and ShareAcknowledges come with, once there was one; who writes may touch it

	queue queue
}

func newConn(s *Server, nc net.Conn, peer bool) *conn {
	c := &conn{srv: s, role: make(chan struct{}, 1), retire: make(chan struct{}, 1)}
	session := &broker.Session{Door: "kafka", Peer: peer}
	if a, ok := nc.(accepted); ok {
		var read []byte
		session.Listener = a.ListenerName()
		if nc, read = a.Unwrap(); len(read) > 0 {
			c.src = io.MultiReader(bytes.NewReader(read), nc)
		}
	}
	if c.src == nil {
		c.src = nc
	}
	session.Host = hostOf(nc.RemoteAddr())
	c.nc = nc
	c.frames = wire.NewFrameReader(c, s.budget, c.frameLimit)
	c.session.Store(session)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.queue.init()
	return c
}

// frameLimit is how large a frame of that API may be. A connection's first frame may be a large produce: clients that know the versions
// from another connection do not ask again. It need not be feared, because memory is reserved as bytes come.
func (c *conn) frameLimit(key int16) int {
	switch {
	case key == keyProduce:
		return c.srv.opts.MaxFrame
	case key == keyApiVersions || c.srv.apis.find(key) == nil:
		return smallFrame
	}
	return min(c.srv.opts.MaxControlFrame, c.srv.opts.MaxFrame)
}

// serve runs the connection to its end.
func (c *conn) serve() {
	c.role <- struct{}{}
	c.work(true)
	c.second.Wait()
	c.queue.drop()
	if c.share != nil {
		c.srv.broker.SessionClosed(c.share)
	}
}

// work is what both goroutines do: read while holding the role, write when there is something and nobody does. The first one stays to the
// end of the connection; the second one ends when the connection rests.
func (c *conn) work(first bool) {
	for {
		if !c.takeRole() {
			return
		}
		err := c.read(first)
		if errors.Is(err, errRest) {
			c.role <- struct{}{}
			return
		}
		if err == nil {
			c.handOver()
			err = c.write()
		}
		if errors.Is(err, errDrained) {
			c.srv.stats.closedFor(err)
			c.hangUp()
			continue // as a reader, who notices that the client has closed its side
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// takeRole waits for the reading role; it is false when the goroutine has to end.
//
//go:noinline
func (c *conn) takeRole() bool {
	select {
	case <-c.role:
		return true
	case <-c.retire:
	case <-c.ctx.Done():
	}
	return false
}

// read takes requests until there is one that this goroutine has to answer itself, or, in the second goroutine, until the connection
// rests (errRest).
func (c *conn) read(first bool) error {
	for {
		r, err := c.next()
		switch {
		case err == nil:
			if write, err := c.queue.push(r); write || err != nil {
				return err
			}
		case !errors.Is(err, errRest):
			return err
		case !first:
			c.two.Store(false)
			return err
		case c.two.Load():
			select {
			case c.retire <- struct{}{}:
				c.two.Store(false)
			default: // one that was told before is still on its way out
			}
		}
	}
}

// handOver gives the reading role to the other goroutine, which it starts if there is none. (One that was told to retire may take the role
// in its place; then the new one retires.)
//
//go:noinline
func (c *conn) handOver() {
	if !c.two.Load() {
		c.two.Store(true)
		c.second.Go(func() { c.work(false) })
	}
	c.role <- struct{}{}
}

// rest asks an idle connection to do with one goroutine, which is half of what it costs. The reader notices by its deadline.
func (c *conn) rest() {
	if c.two.Load() && c.resting.CompareAndSwap(false, true) {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// Read is what the frames are read from: src, but for the deadline that rest sets, which only counts between frames.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.src.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !c.resting.Load() {
			return n, err
		}
		_ = c.nc.SetReadDeadline(time.Time{})
		c.resting.Store(false)
		if state, _, _ := c.frames.Progress(); state == wire.BetweenFrames {
			return 0, errRest
		}
	}
}

// write answers the requests of the queue until it is empty.
func (c *conn) write() error {
	o := newOut(c)
	defer o.free()
	answered := 0
	for {
		r := c.queue.head()
		if r == nil || !r.ready() {
			if err := o.flush(); err != nil {
				return err
			}
			if c.queue.answered(answered) {
				return errDrained
			}
			answered = 0
			if r == nil {
				if c.queue.endWriting() {
					return nil
				}
				continue
			}
		}
		err := r.answer(o)
		c.srv.stats.observe(r, c.srv.opts.Now(), err)
		c.queue.pop()
		r.free()
		if err != nil {
			return err
		}
		answered++
	}
}

// Errors that are nobody's fault.
var (
	errDrained = errors.New("drained")
	errClosed  = errors.New("closed")
	errRest    = errors.New("idle; one goroutine is enough") // no reason to end it at all
)

// errFlood ends a connection whose client sends on and on behind a request that may take minutes.
var errFlood = errors.New("too many requests behind one that waits")

// fail ends the connection; the first reason given counts.
func (c *conn) fail(err error) {
	if c.ctx.Err() == nil && !c.hangingUp.Load() {
		c.srv.stats.closedFor(err)
		c.srv.explain(c, err)
	}
	c.close()
}

// close wakes everybody who waits on the connection's behalf. It may be called by anyone, any number of times.
func (c *conn) close() {
	c.cancel()
	c.queue.close()
	_ = c.nc.Close()
}

// drain lets what has been read be answered and hangs up then. What comes in later is not served any more.
func (c *conn) drain() {
	if c.queue.drain() {
		c.hangUp()
		return
	}
	c.polls.end()
}

// pollContext is a connection's context for long polls, which ends when the connection drains, so that they answer at once. Only
// connections that fetch have one.
type pollContext struct {
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc // not nil once ctx was asked for
	ended  bool
}

// of returns the context, a child of parent.
func (p *pollContext) of(parent context.Context) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel == nil {
		p.ctx, p.cancel = context.WithCancel(parent)
		if p.ended {
			p.cancel()
		}
	}
	return p.ctx
}

func (p *pollContext) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.cancel != nil {
		p.cancel()
	}
}

func (c *conn) bytesIn() uint64 {
	_, received, _ := c.frames.Progress()
	return received
}

// sessionFor is the connection's session with this request's client id.
func (c *conn) sessionFor(clientID []byte) *broker.Session {
	s := c.session.Load()
	if string(clientID) == s.ClientID {
		return s
	}
	next := *s
	next.ClientID = string(clientID)
	c.session.Store(&next)
	return &next
}

// setSoftware keeps what the client said of itself in ApiVersions.
func (c *conn) setSoftware(name, version string) {
	for {
		s := c.session.Load()
		next := *s
		next.Software = name + " " + version
		if c.session.CompareAndSwap(s, &next) {
			return
		}
	}
}

// partitionLimit is how many partitions one produce or fetch may name: some more than exist (SRV-6).
func (s *Server) partitionLimit() int { return 1000 + 2*s.broker.Image().Topics.PartitionCount() }

// hostOf is an address without its port.
func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}
