package peer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/porttest"
)

// Released buffers are scribbled over in all tests (LNK-9), and no test leaves a goroutine.
func TestMain(m *testing.M) {
	scribbles = true
	leaktest.Main(m)
}

// deadline bounds what a test waits for; nothing should come near it.
const deadline = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve serves o on a loopback port until the test ends.
func serve(t testing.TB, o ServerOptions) (s *Server, addr string) {
	t.Helper()
	l := listen(t)
	s = NewServer(o)
	serveOn(t, s, l)
	return s, l.Addr().String()
}

func serveOn(t testing.TB, s *Server, l net.Listener) {
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// book has the addresses of brokers.
type book struct {
	mu sync.Mutex
	m  map[kafka.BrokerID][]string
}

func (b *book) set(id kafka.BrokerID, addrs ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m[id] = addrs
}

func (b *book) get(id kafka.BrokerID) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.m[id]
}

// dialer makes Peers that are broker 1 of cluster "c" and end with the test. Broker 2 has the given addresses.
func dialer(t testing.TB, o Options, addrs ...string) (*Peers, *book) {
	t.Helper()
	b := &book{m: map[kafka.BrokerID][]string{2: addrs}}
	if o.Self == nil {
		o.Self = func() (kafka.BrokerID, string) { return 1, "c" }
	}
	if o.Addrs == nil {
		o.Addrs = b.get
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = deadline
	}
	p := New(o)
	t.Cleanup(func() { _ = p.Close() })
	return p, b
}

// patient makes a Server and Peers that bear with a loaded machine.
func patient(s *Server, p *Peers) {
	if s != nil {
		s.maxSilence = deadline
	}
	if p != nil {
		p.maxSilence = deadline
	}
}

func echo(_ context.Context, _ Caller, body []byte) ([]byte, error) { return body, nil }

func wantCode(t testing.TB, err error, code kafka.ErrorCode) {
	t.Helper()
	if err == nil || kafka.CodeOf(err) != code {
		t.Fatalf("error %v (%v), want code %v", err, kafka.CodeOf(err), code)
	}
}

// closedPort is an address where nothing listens, and nothing will.
func closedPort(t testing.TB) string { return porttest.Free(t, 1)[0] }

// silentPort is an address that accepts and says nothing.
func silentPort(t testing.TB) string {
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String() // the system accepts; nobody reads
}

// rawDial connects to addr; the connection ends with the test.
func rawDial(t testing.TB, addr string) net.Conn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, deadline)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(deadline))
	return nc
}

// wantClosed reads until the other side closes.
func wantClosed(t testing.TB, nc net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection stays open")
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// logs keeps what is logged.
type logs struct {
	mu   sync.Mutex
	text []byte
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
