package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// pipeListener accepts connections in memory, so that they can be had in virtual time.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _ string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
		return &cuttable{Conn: a}, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cuttable is a connection whose link can be cut: what is written is lost, and nothing comes.
type cuttable struct {
	net.Conn
	mu               sync.Mutex
	loseOut, holdsIn bool
}

func (c *cuttable) Write(b []byte) (int, error) {
	c.mu.Lock()
	lose := c.loseOut
	c.mu.Unlock()
	if lose {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *cuttable) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		c.mu.Lock()
		drop := c.holdsIn
		c.mu.Unlock()
		if !drop || err != nil {
			return n, err
		}
	}
}

func (c *cuttable) cut(out, in bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loseOut, c.holdsIn = out, in
}

// An idle connection lives for as long as both sides do; a link that is cut, in one direction or in both, is noticed at both sides within
// three seconds and a little, and calls that wait end then (LNK-4, LNK-5).
func TestSilenceBreaksAConnectionAndIdlenessDoesNot(t *testing.T) {
	for name, c := range map[string]struct{ out, in bool }{"both ways": {true, true}, "one way": {true, false}, "the other way": {false, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipeListener()
				var link *cuttable
				closed := make(chan time.Time, 10)
				s := NewServer(ServerOptions{
					OnClosed: func(c Caller) {
						if c.Node != 1 || c.ClusterID != "c" {
							t.Errorf("the caller was %+v", c)
						}
						closed <- time.Now()
					},
					Methods: map[string]Handler{"echo": echo, "wait": func(ctx context.Context, _ Caller, _ []byte) ([]byte, error) {
						<-ctx.Done()
						return nil, ctx.Err()
					}},
				})
				go func() { _ = s.Serve(l) }()
				p := New(Options{
					Self: func() (kafka.BrokerID, string) { return 1, "c" }, Addrs: func(kafka.BrokerID) []string { return []string{"a:1"} },
					Dial: func(ctx context.Context, addr string) (net.Conn, error) {
						nc, err := l.dial(ctx, addr)
						if err == nil {
							link = nc.(*cuttable)
						}
						return nc, err
					},
				})
				if _, err := p.Call(t.Context(), 2, "echo", nil); err != nil {
					t.Fatal(err)
				}
				first := link
				time.Sleep(time.Hour)
				if _, err := p.Call(t.Context(), 2, "echo", nil); err != nil || link != first || len(closed) > 0 {
					t.Fatalf("after an idle hour: %v, another connection: %v, closed %d", err, link != first, len(closed))
				}
				waited := make(chan error)
				go func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					_, err := p.Call(ctx, 2, "wait", nil)
					waited <- err
				}()
				synctest.Wait()
				begin := time.Now()
				first.cut(c.out, c.in)
				err := <-waited
				took := time.Since(begin)
				if kafka.CodeOf(err) != kafka.NetworkException || took > maxSilence+pingEvery {
					t.Errorf("the call ended after %v with %v", took, err)
				}
				if !c.out && !errors.Is(err, errSilent) {
					t.Errorf("the error is %v, want %v", err, errSilent)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if len(closed) != 1 {
					t.Fatalf("OnClosed was told %d times", len(closed))
				}
				if took := (<-closed).Sub(begin); took > maxSilence+pingEvery {
					t.Errorf("OnClosed was told after %v", took)
				}
				if _, err := p.Call(t.Context(), 2, "echo", nil); err != nil { // over a new connection
					t.Error(err)
				}
				_ = p.Close()
				_ = s.Close()
			})
		})
	}
}

// roomy is a connection whose writes do not wait for the other side, as a socket's do not: its pings find room while nobody reads.
type roomy struct {
	net.Conn
	sent chan []byte
	once sync.Once
	done chan struct{}
}

func newRoomy(nc net.Conn) *roomy {
	r := &roomy{Conn: nc, sent: make(chan []byte, 1000), done: make(chan struct{})}
	go func() {
		for {
			select {
			case b := <-r.sent:
				if _, err := nc.Write(b); err != nil {
					return
				}
			case <-r.done:
				return
			}
		}
	}()
	return r
}

func (r *roomy) SetWriteDeadline(time.Time) error { return nil }

func (r *roomy) Write(b []byte) (int, error) {
	select {
	case r.sent <- append([]byte(nil), b...):
		return len(b), nil
	case <-r.done:
		return 0, net.ErrClosed
	}
}

func (r *roomy) Close() error {
	r.once.Do(func() { close(r.done) })
	return r.Conn.Close()
}

// A server whose handlers are all busy does not read, and pings all the same: the connection lives (LNK-4).
func TestBusyHandlersAreNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		s := NewServer(ServerOptions{Methods: map[string]Handler{"slow": func(ctx context.Context, _ Caller, b []byte) ([]byte, error) {
			select {
			case <-time.After(time.Minute):
				return b, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}})
		go func() { _ = s.Serve(l) }()
		p := New(Options{Self: func() (kafka.BrokerID, string) { return 1, "c" }, Addrs: func(kafka.BrokerID) []string { return []string{"a:1"} }, Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			nc, err := l.dial(ctx, addr)
			if err != nil {
				return nil, err
			}
			return newRoomy(nc), nil
		}})
		var all sync.WaitGroup
		for range maxHandlers + 10 { // two rounds of a minute
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if _, err := p.Call(ctx, 2, "slow", nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		_ = p.Close()
		_ = s.Close()
	})
}

// A call without a deadline gets one.
func TestCallsWithoutADeadlineEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipeListener()
		s := NewServer(ServerOptions{Methods: map[string]Handler{"wait": func(ctx context.Context, _ Caller, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}})
		go func() { _ = s.Serve(l) }()
		p := New(Options{Self: func() (kafka.BrokerID, string) { return 1, "c" }, Addrs: func(kafka.BrokerID) []string { return []string{"a:1"} }, Dial: l.dial})
		begin := time.Now()
		_, err := p.Call(context.Background(), 2, "wait", nil)
		wantCode(t, err, kafka.RequestTimedOut)
		if took := time.Since(begin); took != callTimeout {
			t.Errorf("it took %v", took)
		}
		_ = p.Close()
		_ = s.Close()
	})
}
