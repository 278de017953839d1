package peer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

// Handler answers one call. It runs on a goroutine of its own. ctx ends when the caller no longer waits, the connection breaks or the
// Server closes. body is valid until the handler returns; the answer is copied. An error travels as its kafka code and message.
type Handler func(ctx context.Context, from Caller, body []byte) ([]byte, error)

// Caller is who made a call, as it said itself when it connected.
type Caller struct {
	Node      kafka.BrokerID // NoBroker: a node that has no id yet
	ClusterID string         // "" while the node knows none
	Remote    net.Addr
	Conn      uint64 // names the connection; a Server gives no number twice
}

// ServerOptions of a Server. What may be left out says in brackets what holds then.
type ServerOptions struct {
	Methods map[string]Handler // by name of at most 255 bytes, such as "heartbeat"; not changed any more
	// More is asked for methods that Methods does not have, at each call: for those that come later than the Server. nil: there is none. [none]
	More func(method string) Handler
	// Kafka serves a connection of Kafka frames until it ends; ctx ends with Close, which closes c as well. c is a *Conn. [refused]
	Kafka func(ctx context.Context, c net.Conn)
	// Raft and Client dial the sockets of the embedded etcd, for HTTP/1 and for HTTP/2. With an error the connection is closed. [refused]
	Raft, Client func() (net.Conn, error)
	// Gossip serves a stream of gossip, behind its magic, until it ends. Close closes c. [refused]
	Gossip func(c net.Conn)
	// ClusterID is the own cluster's; while it is "" any caller is accepted, else one of another cluster is refused. [unknown]
	ClusterID func() string
	// Node is the own id, which callers compare with whom they meant to reach: addresses are given to others at times. [NoBroker]
	Node func() kafka.BrokerID
	// OnClosed is told, once, that a connection for calls has ended whose caller said that it is a broker and meant to stay: it has died or
	// closed it. Connections that Close ends are not told. It must be quick. [nobody]
	OnClosed       func(Caller)
	MaxConnections int          // of all protocols; more are closed at once [4096]
	MaxBody        int          // bytes of a call's body and of its answer [64 MiB]
	Logger         *slog.Logger // [nobody]
}

const (
	// firstTimeout is how long a connection may take to say what it speaks, and then again for its hello.
	firstTimeout = 10 * time.Second
	// maxHandlers is how many calls of one connection are under way at a time. At the limit the connection is not read.
	maxHandlers = 256
	// pingEvery is how often a side that has nothing to say says so.
	pingEvery = time.Second
	// maxSilence is how long a side may say nothing before the connection counts as broken.
	maxSilence = 3 * time.Second
	// defaultMaxBody is 64 MiB.
	defaultMaxBody = 64 << 20
	// leastCallBytes is how many bytes of calls a Server holds at least. At the limit connections are not read.
	leastCallBytes = 256 << 20
)

// Server serves the peer port.
type Server struct {
	opts   ServerOptions
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // accept loops and connections
	memory *wire.Gate     // bodies of calls
	warned limiter

	pingEvery, maxSilence time.Duration

	lastConn atomic.Uint64
	calls    atomic.Uint64
	refused  atomic.Uint64

	mu        sync.Mutex // guards what follows; a leaf
	closed    bool
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]struct{}
}

// NewServer returns a Server that accepts nothing yet.
func NewServer(o ServerOptions) *Server {
	if o.ClusterID == nil {
		o.ClusterID = func() string { return "" }
	}
	if o.More == nil {
		o.More = func(string) Handler { return nil }
	}
	if o.Node == nil {
		o.Node = func() kafka.BrokerID { return kafka.NoBroker }
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 4096
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		opts: o, log: o.Logger, memory: wire.NewGate(max(leastCallBytes, 2*int64(o.MaxBody))), pingEvery: pingEvery, maxSilence: maxSilence,
		listeners: map[net.Listener]struct{}{}, conns: map[net.Conn]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts from l, which it owns from now on, until Close (nil) or until somebody else closes l (the error). It may be called for
// several listeners at once. Errors such as "too many open files" pass: it waits and tries again.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	const firstPause, longestPause = 5 * time.Millisecond, time.Second
	pause := firstPause
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = firstPause
			s.start(nc)
			continue
		case s.ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		s.warn("cannot accept connections of other brokers for a moment", "error", err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return nil
		}
		pause = min(2*pause, longestPause)
	}
}

// Close stops accepting, ends all connections and waits for the goroutines, those of handlers among them: their contexts end. It may be
// called again, and always returns nil.
func (s *Server) Close() error {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for nc := range s.conns {
		_ = nc.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// start serves nc on a goroutine of its own, or closes it where there is no room.
func (s *Server) start(nc net.Conn) {
	if !s.track(nc, s.opts.MaxConnections) {
		defer nc.Close()
		if s.refused.Add(1); s.ctx.Err() == nil {
			s.warn("refused a connection of another broker: there are too many", "remote", nc.RemoteAddr(), "limit", s.opts.MaxConnections)
		}
		return
	}
	go func() {
		defer s.wg.Done()
		defer s.untrack(nc)
		defer nc.Close()
		defer func() {
			if r := recover(); r != nil {
				s.log.Error("serving a connection of another broker failed: this is a bug, please report it", "remote", nc.RemoteAddr(), "panic", r, "stack", string(debug.Stack()))
			}
		}()
		tune(nc)
		if err := s.serve(nc); err != nil && s.ctx.Err() == nil {
			s.log.Debug("a connection to the peer port has ended", "remote", nc.RemoteAddr(), "error", err)
		}
	}()
}

// track makes Close close nc and, unless it returns false, wait for a Done.
func (s *Server) track(nc net.Conn, limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= limit {
		return false
	}
	s.conns[nc] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) untrack(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
}

// serve looks what nc speaks and serves it to its end.
func (s *Server) serve(nc net.Conn) error {
	if err := nc.SetReadDeadline(time.Now().Add(firstTimeout)); err != nil {
		return err
	}
	p, first, err := readFirst(nc)
	if err != nil {
		return err
	}
	if err := nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	switch {
	case p == callProtocol:
		return s.serveCalls(nc)
	case p == kafkaProtocol && s.opts.Kafka != nil:
		s.opts.Kafka(s.ctx, &Conn{Conn: nc, first: first})
		return nil
	case p == gossipProtocol && s.opts.Gossip != nil:
		s.opts.Gossip(nc)
		return nil
	case p == raftProtocol && s.opts.Raft != nil:
		return s.relay(nc, first, s.opts.Raft)
	case p == clientProtocol && s.opts.Client != nil:
		return s.relay(nc, first, s.opts.Client)
	case p == unknownProtocol:
		s.warn("closed a connection to the peer port that speaks none of its protocols; only brokers connect here, clients use the Kafka port",
			"remote", nc.RemoteAddr(), "first bytes", fmt.Sprintf("%q", first))
	}
	return errNotServed
}

// relay joins nc with what dial reaches.
func (s *Server) relay(nc net.Conn, first []byte, dial func() (net.Conn, error)) error {
	inner, err := dial()
	if err != nil {
		return err
	}
	if !s.track(inner, 2*s.opts.MaxConnections) {
		return errors.Join(errClosed, inner.Close())
	}
	defer s.wg.Done()
	defer s.untrack(inner)
	relay(nc, inner, first)
	return nil
}

// warn logs at most one warning in some seconds, so that nobody fills the log from outside.
func (s *Server) warn(message string, args ...any) {
	if left, ok := s.warned.may(time.Now()); ok {
		if left > 0 {
			args = append(args, "others left out", left)
		}
		s.log.Warn(message, args...)
	}
}

// ServerStats is a Server at one moment.
type ServerStats struct {
	Connections, MaxConnections int    // of all protocols, open now; a relayed one counts twice
	Calls                       uint64 // begun, ever
	Refused                     uint64 // connections over the limit, ever
	CallBytes, MaxCallBytes     int64  // of the bodies of calls that are under way
}

// Stats tells how much a Server has to do.
func (s *Server) Stats() ServerStats {
	m := s.memory.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return ServerStats{
		Connections: len(s.conns), MaxConnections: s.opts.MaxConnections, Calls: s.calls.Load(), Refused: s.refused.Load(),
		CallBytes: m.Used, MaxCallBytes: m.Limit,
	}
}
