package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Door serves one connection. When ctx ends it finishes what is in flight, and no more; it returns when the connection is over, and has
// closed it then.
type Door func(ctx context.Context, nc net.Conn)

// Options of a Server. Zero values mean what is in brackets.
type Options struct {
	Kafka Door // [closed]
	Text  Door // [closed]

	MaxConnections int           // max.connections [from the limit on open files, see DefaultMaxConnections]
	MaxPerIP       int           // max.connections.per.ip [no limit of its own]
	FirstByte      time.Duration // how long a connection may stay without having said anything: connections.max.idle.ms [10 min]
	Log            *slog.Logger
}

// Server accepts connections.
type Server struct {
	opts Options
	log  *slog.Logger

	ctx    context.Context // given to doors; ends with Shutdown
	drain  context.CancelFunc
	done   chan struct{}  // closed by Shutdown: accepting stops
	wg     sync.WaitGroup // accept loops and connections
	limits limits
	now    func() time.Time
}

// New returns a Server that accepts nothing yet.
func New(o Options) *Server {
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections()
	}
	if o.FirstByte == 0 {
		o.FirstByte = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opts: o, log: o.Log, done: make(chan struct{}), now: time.Now}
	s.ctx, s.drain = context.WithCancel(context.Background())
	s.limits = limits{max: o.MaxConnections, perIP: o.MaxPerIP, conns: map[*Conn]struct{}{}, byIP: map[netip.Addr]int{}}
	s.limits.silent.Init()
	return s
}

// Listen opens a TCP listener: keep-alive on, and no delay for small writes. Port 0 takes a free one; an empty host means all addresses.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 4}}
	return lc.Listen(ctx, "tcp", address)
}

// Serve accepts from l, which it owns from now on, until Shutdown; it returns at once. name is the listener's, such as PLAINTEXT: doors
// tell clients the addresses that are advertised for it. Any net.Listener will do, one in memory too. Serve after Shutdown closes l.
func (s *Server) Serve(name string, l net.Listener) {
	select {
	case <-s.done:
		_ = l.Close()
		return
	default:
	}
	s.wg.Add(2)
	go func() {
		defer s.wg.Done()
		<-s.done
		_ = l.Close()
	}()
	go func() {
		defer s.wg.Done()
		s.accept(name, l)
	}()
}

// Waits between attempts to accept after one failed.
const (
	firstPause = 5 * time.Millisecond
	longPause  = time.Second
)

// accept runs until l is closed. Errors such as "too many open files" pass: connections end, and descriptors come free (LSN-3).
func (s *Server) accept(name string, l net.Listener) {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(name, nc)
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		if pause == 0 {
			s.log.Warn("cannot accept connections for a moment; clients that are connected go on", "listener", name, "error", err)
			pause = firstPause
		}
		t := time.NewTimer(pause)
		select {
		case <-s.done:
			t.Stop()
			return
		case <-t.C:
		}
		pause = min(2*pause, longPause)
	}
}

// start serves nc in a goroutine of its own, if the limits allow it.
func (s *Server) start(name string, nc net.Conn) {
	c := &Conn{Conn: nc, listener: name, ip: addrOf(nc.RemoteAddr()), accepted: s.now()}
	evict, err := s.limits.admit(c)
	if evict != nil {
		_ = evict.Conn.Close()
	}
	if err != nil {
		_ = nc.Close()
		if s.limits.sayRefused(s.now()) {
			s.log.Warn("refused a connection", "reason", err, "client", nc.RemoteAddr())
		}
		return
	}
	s.wg.Go(func() {
		defer s.limits.leave(c)
		s.serve(c)
	})
}

// serve reads the first byte and hands the connection to its door.
func (s *Server) serve(c *Conn) {
	_ = c.Conn.SetReadDeadline(s.now().Add(s.opts.FirstByte))                                // before the next line, which must have the last word
	stop := context.AfterFunc(s.ctx, func() { _ = c.Conn.SetReadDeadline(time.Unix(1, 0)) }) // who has said nothing has nothing in flight
	err := c.readFirst()
	if !stop() || err != nil {
		_ = c.Conn.Close()
		return
	}
	_ = c.Conn.SetReadDeadline(time.Time{})
	s.limits.spoke(c)
	door := s.doorFor(c.first[0])
	if door == nil {
		_ = c.Conn.Close()
		if s.limits.sayRefused(s.now()) {
			s.log.Info("closed a connection that speaks neither Kafka's protocol nor lines of text", "client", c.RemoteAddr(), "first_byte", c.first[0])
		}
		return
	}
	door(s.ctx, c)
}

// doorFor chooses by the first byte (LSN-1).
func (s *Server) doorFor(first byte) Door {
	switch {
	case first == 0:
		return s.opts.Kafka
	case first >= 'a' && first <= 'z', first >= 'A' && first <= 'Z':
		return s.opts.Text
	}
	return nil
}

// Shutdown stops accepting and lets the doors finish; connections that are left when ctx ends are closed, and ctx's error is returned
// then. No goroutine is left either way.
func (s *Server) Shutdown(ctx context.Context) error {
	s.limits.close()
	select {
	case <-s.done:
	default:
		close(s.done)
	}
	s.drain()
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.limits.each(func(c *Conn) { _ = c.Conn.Close() })
	<-ended
	return context.Cause(ctx)
}

// Stats counts connections.
func (s *Server) Stats() Stats { return s.limits.stats() }

func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ip, _ := netip.AddrFromSlice(tcp.IP)
		return ip.Unmap()
	}
	return netip.Addr{} // in memory: all of one address
}
