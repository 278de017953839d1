package kafkasrv

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

// Options of a Server. Zero values mean what is in brackets.
type Options struct {
	NodeID          kafka.BrokerID // this broker's id in the image
	MaxFrame        int            // socket.request.max.bytes [100 MiB]; capped by the budget
	MaxControlFrame int            // the same for every request but produce [8 MiB]
	FrameBytes      int64          // memory for all frames in flight [256 MiB]
	AnswerBytes     int64          // memory for large answers being built, other than fetched records [64 MiB]
	IdleTimeout     time.Duration  // connections.max.idle.ms [10 min]
	FetchSessions   int            // max.incremental.fetch.session.cache.slots [1000]; negative: none
	// Load is what a broker has to do, for DescribeCluster (mesh.Load); nil: not known.
	Load func(kafka.BrokerID) []byte
	Now  func() time.Time
	Log  *slog.Logger
}

func (o *Options) setDefaults() {
	if o.MaxFrame == 0 {
		o.MaxFrame = 100 << 20
	}
	if o.MaxControlFrame == 0 {
		o.MaxControlFrame = 8 << 20
	}
	if o.FrameBytes == 0 {
		o.FrameBytes = 256 << 20
	}
	if o.AnswerBytes == 0 {
		o.AnswerBytes = 64 << 20
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 10 * time.Minute
	}
	if o.FetchSessions == 0 {
		o.FetchSessions = 1000
	}
	if o.Load == nil {
		o.Load = func(kafka.BrokerID) []byte { return nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Server serves Kafka's protocol on connections that others accept.
type Server struct {
	opts     Options
	broker   Broker
	apis     apiTable
	budget   *wire.Budget // of frames
	answers  *wire.Gate   // of large answers and of requests that decode into much
	sessions *sessionCache
	stats    counters
	watcher  watcher

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // connections and the watcher

	// mu guards what is below, for memory work only.
	mu     sync.Mutex
	conns  map[*conn]struct{}
	groups map[context.Context]*group
	closed bool
}

// group is the connections that were served with one context, normally all of a listener: they drain together when it ends. Watching it
// once for all of them saves an idle connection 300 bytes.
type group struct {
	size int
	stop func() bool
}

// New returns a Server that calls b. It starts one goroutine, which closes idle and slow connections; Close ends it.
func New(b Broker, o Options) *Server {
	o.setDefaults()
	s := &Server{
		opts:     o,
		broker:   b,
		apis:     newAPITable(),
		budget:   wire.NewBudget(o.FrameBytes, o.MaxFrame),
		answers:  wire.NewGate(o.AnswerBytes),
		sessions: newSessionCache(o.FetchSessions),
		conns:    map[*conn]struct{}{},
		groups:   map[context.Context]*group{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.watcher = watcher{idle: o.IdleTimeout}
	s.wg.Go(func() { s.watch(s.ctx) })
	return s
}

// accepted is what server/listen tells of a connection besides: the name of the listener, and what was read of it to choose the door.
type accepted interface {
	ListenerName() string
	Unwrap() (nc net.Conn, read []byte)
}

// Serve serves nc until the client leaves, breaks the protocol, or Close. When ctx ends it drains: requests that have been read are
// answered, long polls at once, and then the connection closes. It always closes nc before it returns.
func (s *Server) Serve(ctx context.Context, nc net.Conn) { s.serve(ctx, newConn(s, nc, false)) }

// ServePeer is Serve for a connection of another broker of the cluster, which whoever accepted it has made sure of: it may fetch as a follower
// (REP-4). It is told peer addresses where a client is told those of its listener.
func (s *Server) ServePeer(ctx context.Context, nc net.Conn) { s.serve(ctx, newConn(s, nc, true)) }

func (s *Server) serve(ctx context.Context, c *conn) {
	if !s.add(ctx, c) {
		_ = c.nc.Close()
		return
	}
	if ctx.Err() != nil {
		c.drain() // the group may have drained before c was in it
	}
	c.serve()
	s.remove(ctx, c)
}

func (s *Server) add(ctx context.Context, c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	c.group = s.groups[ctx]
	if c.group == nil {
		g := &group{}
		g.stop = context.AfterFunc(ctx, func() { s.drain(g) })
		s.groups[ctx], c.group = g, g
	}
	c.group.size++
	s.conns[c] = struct{}{}
	s.wg.Add(1)
	s.stats.opened.Add(1)
	return true
}

func (s *Server) remove(ctx context.Context, c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if c.group.size--; c.group.size == 0 {
		c.group.stop()
		delete(s.groups, ctx)
	}
	s.mu.Unlock()
	s.stats.bytesIn.Add(c.bytesIn())
	s.wg.Done()
}

// drain drains every connection of a group.
func (s *Server) drain(g *group) {
	for _, c := range s.appendConns(nil) {
		if c.group == g {
			c.drain()
		}
	}
}

// Close closes every connection and returns when all goroutines have ended. Effects of requests that have been read may happen.
// For an end without lost answers end the contexts given to Serve first.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.close()
	}
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}
