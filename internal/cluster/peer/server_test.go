package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Every kind of first bytes reaches who serves it, nothing missing, whether it comes whole or a byte at a time; everything else is closed
// (LNK-1).
func TestFirstBytesChooseTheProtocol(t *testing.T) {
	var got sync.Map // what came, by who served it
	note := func(name string) func(net.Conn) {
		return func(nc net.Conn) {
			b, _ := io.ReadAll(nc)
			got.Store(name, string(b))
			_, _ = nc.Write([]byte("served by " + name))
		}
	}
	etcd := func(name string) func() (net.Conn, error) {
		l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				note(name)(nc)
				_ = nc.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close(); <-done })
		return func() (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }
	}
	var log logs
	_, addr := serve(t, ServerOptions{
		Kafka: func(_ context.Context, c net.Conn) {
			if a, ok := c.(interface {
				ListenerName() string
				Unwrap() (net.Conn, []byte)
			}); !ok || a.ListenerName() != "" {
				t.Errorf("a %T does not give what was read of it", c)
			}
			note("kafka")(c)
		},
		Gossip: note("gossip"), Raft: etcd("raft"), Client: etcd("client"), Logger: log.logger(), Methods: map[string]Handler{},
	})
	for _, c := range []struct{ bytes, by string }{
		{"\x00\x00\x00\x08frame...", "kafka"},
		{"\x00", "kafka"},
		{"GET /raft/stream HTTP/1.1\r\n", "raft"},
		{"POST /raft HTTP/1.1\r\n", "raft"},
		{"PUT /x", "raft"},
		{"RKG1what follows", "gossip"},
		{"HEAD /x", "raft"},
		{"DELETE /x", "raft"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "client"},
		{"RKP1" + string(hello{lowest: 1, highest: 1}.appendTo(nil)[4:]), "calls"},
		{"\x16\x03\x01\x02\x00", ""}, // TLS
		{"rkp1....", ""},
		{"GETX....", ""},
		{"PRIX....", ""},
		{"\x01\x00\x00\x00", ""},
		{"\xff\xff\xff\xff", ""},
		{"GET", ""},
		{"", ""},
	} {
		for name, chunk := range map[string]int{"whole": 1000, "byte by byte": 1} {
			got.Clear()
			nc := rawDial(t, addr)
			for b := range slices.Chunk([]byte(c.bytes), chunk) {
				if _, err := nc.Write(b); err != nil && c.by != "" {
					t.Fatal(err)
				}
			}
			_ = nc.(*net.TCPConn).CloseWrite()
			answer, _ := io.ReadAll(nc)
			_ = nc.Close()
			switch c.by {
			case "":
				if len(answer) > 0 {
					t.Errorf("%q, %s: answered with %q", c.bytes, name, answer)
				}
			case "calls":
				if w, err := readWelcome(bytes.NewReader(answer)); err != nil || w.version != 1 {
					t.Errorf("%q, %s: answered with %q", c.bytes, name, answer)
				}
			default:
				if b, _ := got.Load(c.by); b != strings.TrimPrefix(c.bytes, GossipMagic) || string(answer) != "served by "+c.by {
					t.Errorf("%q, %s: %s got %q and answered %q", c.bytes, name, c.by, b, answer)
				}
			}
		}
	}
	if !strings.Contains(log.String(), "only brokers connect here") {
		t.Error("the log does not tell of strangers")
	}
}

func TestWhatNobodyServesIsClosed(t *testing.T) {
	_, addr := serve(t, ServerOptions{Raft: func() (net.Conn, error) { return nil, errors.New("no voter") }})
	for _, first := range []string{"\x00\x00\x00\x08", "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", GossipMagic} {
		nc := rawDial(t, addr)
		_, _ = nc.Write([]byte(first))
		wantClosed(t, nc)
	}
}

// Conn gives what was read of it, by Read in any pieces or by Unwrap once (LNK-1).
func TestConnGivesBackWhatWasRead(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() {
		_, _ = b.Write([]byte("rest"))
		_ = b.Close()
	}()
	c := &Conn{Conn: a, first: []byte("first ")}
	one := make([]byte, 2)
	if n, err := c.Read(one); n != 2 || err != nil || string(one) != "fi" {
		t.Errorf("%d, %v, %q", n, err, one)
	}
	inner, first := c.Unwrap()
	if _, again := c.Unwrap(); inner != a || string(first) != "rst " || again != nil {
		t.Errorf("unwrapped %q, then %q", first, again)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "rest" {
		t.Errorf("%q, %v", b, err)
	}
}

// Bytes pass between a connection and etcd's socket in both directions, many of them, until one side ends (LNK-1).
func TestRelayPassesBothWaysUntilOneSideEnds(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // echoes, and ends after a line with "bye"
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			if _, err := nc.Write(buf[:n]); err != nil || bytes.Contains(buf[:n], []byte("bye")) {
				return
			}
		}
	}()
	defer func() { _ = l.Close(); <-done }()
	s, addr := serve(t, ServerOptions{Raft: func() (net.Conn, error) { return net.Dial("unix", l.Addr().String()) }})
	nc := rawDial(t, addr)
	sent := append([]byte("POST "), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)...)
	go func() { _, _ = nc.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("a megabyte did not come back: %v", err)
	}
	if st := s.Stats(); st.Connections != 2 {
		t.Errorf("%d connections, want the two of the relay", st.Connections)
	}
	_, _ = nc.Write([]byte("bye"))
	if b, err := io.ReadAll(nc); err != nil || string(b) != "bye" {
		t.Errorf("%q, %v", b, err)
	}
	eventually(t, "the relay ends", func() bool { return s.Stats().Connections == 0 })
}

// A relay whose sides both live ends with Close.
func TestCloseEndsRelaysAndKafkaConnections(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, addr := serve(t, ServerOptions{
		Raft: func() (net.Conn, error) { return net.Dial("unix", l.Addr().String()) },
		Kafka: func(ctx context.Context, c net.Conn) {
			<-ctx.Done()
			_, _ = io.ReadAll(c) // it is closed too
		},
	})
	for _, first := range []string{"GET /", "\x00\x00\x00\x08", "PU", "", "RKP1"} {
		_, _ = rawDial(t, addr).Write([]byte(first))
	}
	eventually(t, "all are open", func() bool { return s.Stats().Connections == 6 })
	_ = s.Close()
	if n := s.Stats().Connections; n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestConnectionsOverTheLimitAreClosed(t *testing.T) {
	var log logs
	s, addr := serve(t, ServerOptions{MaxConnections: 2, Logger: log.logger(), Methods: map[string]Handler{"echo": echo}})
	patient(s, nil)
	first := rawDial(t, addr)
	rawDial(t, addr)
	eventually(t, "two are open", func() bool { return s.Stats().Connections == 2 })
	for range 5 {
		wantClosed(t, rawDial(t, addr))
	}
	if st := s.Stats(); st.Refused != 5 || st.MaxConnections != 2 {
		t.Errorf("%+v", st)
	}
	if n := strings.Count(log.String(), "too many"); n != 1 {
		t.Errorf("the log says it %d times, want once in a while", n)
	}
	_ = first.Close()
	eventually(t, "there is room", func() bool { return s.Stats().Connections == 1 })
	p, _ := dialer(t, Options{}, addr)
	if _, err := p.Call(testContext(t), 2, "echo", nil); err != nil {
		t.Error(err)
	}
}

// OnClosed is told once of connections that brokers meant to keep, however they end; not of nodes without an id, of probes, or of those
// that the own Close ends (LNK-5).
func TestOnClosedIsToldOnceOfEachBroker(t *testing.T) {
	told := make(chan Caller, 100)
	s, addr := serve(t, ServerOptions{OnClosed: func(c Caller) { told <- c }})
	patient(s, nil)
	connect := func(h hello) net.Conn {
		nc := rawDial(t, addr)
		h.lowest, h.highest, h.clusterID = 1, 1, "c"
		_, _ = nc.Write(h.appendTo(nil))
		if w, err := readWelcome(nc); err != nil || w.code != kafka.None {
			t.Fatalf("%+v, %v", w, err)
		}
		return nc
	}
	seen := map[uint64]bool{}
	for i, end := range []func(net.Conn){
		func(nc net.Conn) { _ = nc.Close() },
		func(nc net.Conn) { _ = nc.(*net.TCPConn).SetLinger(0); _ = nc.Close() }, // as when the process was killed
		func(nc net.Conn) { _, _ = nc.Write([]byte("nonsense that is no frame")); wantClosed(t, nc) },
		func(nc net.Conn) { _ = nc.(*net.TCPConn).CloseWrite(); wantClosed(t, nc) },
	} {
		node := kafka.BrokerID(i)
		end(connect(hello{node: node}))
		c := <-told
		if c.Node != node || c.ClusterID != "c" || c.Remote == nil || seen[c.Conn] {
			t.Errorf("told of %+v, want node %d and a new number", c, node)
		}
		seen[c.Conn] = true
	}
	_ = connect(hello{node: kafka.NoBroker}).Close()
	_ = connect(hello{node: 7, flags: onlyOnce}).Close()
	kept := connect(hello{node: 8})
	eventually(t, "one is left", func() bool { return s.Stats().Connections == 1 })
	_ = s.Close()
	wantClosed(t, kept)
	if len(told) > 0 {
		t.Errorf("told of %+v too", <-told)
	}
}

// A handler that panics, wherever, ends its connection at most.
func TestPanicsEndTheirConnectionOnly(t *testing.T) {
	var log logs
	var closed atomic.Int64
	s, addr := serve(t, ServerOptions{
		Kafka: func(context.Context, net.Conn) { panic("kafka") }, Logger: log.logger(), Methods: map[string]Handler{"echo": echo},
		OnClosed: func(Caller) { closed.Add(1); panic("on closed") },
	})
	nc := rawDial(t, addr)
	_, _ = nc.Write([]byte{0})
	wantClosed(t, nc)
	for n := range int64(2) {
		p, _ := dialer(t, Options{}, addr)
		if _, err := p.Call(testContext(t), 2, "echo", nil); err != nil {
			t.Fatal(err)
		}
		_ = p.Close()
		eventually(t, "it is told", func() bool { return closed.Load() == n+1 })
	}
	eventually(t, "all connections end", func() bool { return s.Stats().Connections == 0 })
	if text := log.String(); !strings.Contains(text, "panic=kafka") || !strings.Contains(text, "on closed") {
		t.Errorf("the log does not tell: %s", text)
	}
}

// A listener that fails for a moment, as without file descriptors, is asked again; one that somebody closes ends Serve.
func TestAcceptingGoesOnAfterErrors(t *testing.T) {
	l := &flakyListener{Listener: listen(t)}
	l.failures.Store(3)
	s := NewServer(ServerOptions{Methods: map[string]Handler{"echo": echo}})
	defer s.Close()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	p, _ := dialer(t, Options{}, l.Addr().String())
	if _, err := p.Call(testContext(t), 2, "echo", nil); err != nil {
		t.Error(err)
	}
	_ = l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

type flakyListener struct {
	net.Listener
	failures atomic.Int64
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestWarningsAreFew(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	for i := range 10 {
		if _, ok := l.may(now); ok != (i == 0) {
			t.Errorf("warning %d may pass: %v", i, ok)
		}
	}
	if left, ok := l.may(now.Add(warnEvery)); !ok || left != 9 {
		t.Errorf("later: %v, %d left out", ok, left)
	}
}
