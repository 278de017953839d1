package listen

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// echo is a door that answers with its name and every line it gets. It drains as doors must.
func echo(name string) Door {
	return func(ctx context.Context, nc net.Conn) {
		defer nc.Close()
		stop := context.AfterFunc(ctx, func() { _ = nc.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		in := bufio.NewScanner(nc)
		for in.Scan() {
			if _, err := io.WriteString(nc, name+" "+in.Text()+"\n"); err != nil {
				return
			}
		}
	}
}

func start(t *testing.T, o Options) (s *Server, addr string) {
	t.Helper()
	if o.Kafka == nil {
		o.Kafka, o.Text = echo("kafka"), echo("text")
	}
	s = New(o)
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve("PLAINTEXT", l)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Open != 0 || st.Silent != 0 {
			t.Errorf("after Shutdown: %+v", st)
		}
	})
	return s, l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(2 * time.Minute))
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// ask sends a line and reads one; "" when the connection was closed.
func ask(t *testing.T, nc net.Conn, line string) string {
	t.Helper()
	_, _ = io.WriteString(nc, line+"\n")
	got, err := bufio.NewReader(nc).ReadString('\n')
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("no answer, and not closed")
	}
	return got
}

// waitFor spins until the condition holds.
func waitFor(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}

// LSN-1
func TestFirstByteNamesTheDoor(t *testing.T) {
	_, addr := start(t, Options{})
	for _, c := range []struct{ send, want string }{
		{"\x00\x00\x00x", "kafka \x00\x00\x00x\n"},
		{"HELP", "text HELP\n"},
		{"produce x", "text produce x\n"},
		{"\x16\x03\x01", ""},
		{"\x01", ""},
		{" ", ""},
		{"\xff\xff", ""},
		{"1", ""},
	} {
		if got := ask(t, dial(t, addr), c.send); got != c.want {
			t.Errorf("%q: %q, want %q", c.send, got, c.want)
		}
	}
}

func TestDoorThatIsNotThereIsClosed(t *testing.T) {
	_, addr := start(t, Options{Kafka: echo("kafka")})
	if got := ask(t, dial(t, addr), "HELP"); got != "" {
		t.Errorf("%q", got)
	}
}

// A door may take the connection itself and the byte that was read, instead of reading through Conn.
func TestUnwrapGivesTheByteOnce(t *testing.T) {
	got := make(chan string, 1)
	_, addr := start(t, Options{Kafka: func(_ context.Context, nc net.Conn) {
		c := nc.(*Conn)
		raw, read := c.Unwrap()
		defer raw.Close()
		rest := make([]byte, 2)
		_, _ = io.ReadFull(raw, rest)
		_, again := c.Unwrap()
		got <- c.ListenerName() + string(read) + string(rest) + string(again)
	}})
	_, _ = dial(t, addr).Write([]byte("\x00ab"))
	if s := <-got; s != "PLAINTEXT\x00ab" {
		t.Errorf("%q", s)
	}
}

// LSN-2: a flood of connections that say nothing neither keeps others out nor disturbs who is connected.
func TestFloodOfSilentConnectionsMakesRoom(t *testing.T) {
	s, addr := start(t, Options{MaxConnections: 10})
	talking := dial(t, addr)
	ask(t, talking, "hello")
	for range 30 {
		dial(t, addr)
	}
	waitFor(func() bool { st := s.Stats(); return st.Opened+st.Refused == 31 })
	if st := s.Stats(); st.Open != 10 || st.Silent != 9 || st.Refused != 21 {
		t.Errorf("%+v", st)
	}
	s.limits.mu.Lock()
	for e := s.limits.silent.Front(); e != nil; e = e.Next() {
		c := e.Value.(*Conn)
		c.accepted = c.accepted.Add(-silence) // as if a second had passed
	}
	s.limits.mu.Unlock()
	if got := ask(t, dial(t, addr), "me too"); got != "text me too\n" {
		t.Errorf("a new client got %q", got)
	}
	if got := ask(t, talking, "still here"); got != "text still here\n" {
		t.Errorf("the old one got %q", got)
	}
	if st := s.Stats(); st.Open != 10 || st.Evicted != 1 {
		t.Errorf("%+v", st)
	}
}

// LSN-2: when all places are taken by clients that talk, the next is refused, and let in when one leaves.
func TestLimitOfTalkingConnections(t *testing.T) {
	s, addr := start(t, Options{MaxConnections: 2})
	first, second := dial(t, addr), dial(t, addr)
	ask(t, first, "a")
	ask(t, second, "b")
	if got := ask(t, dial(t, addr), "c"); got != "" {
		t.Errorf("%q", got)
	}
	_ = first.Close()
	waitFor(func() bool { return s.Stats().Open == 1 })
	if got := ask(t, dial(t, addr), "d"); got != "text d\n" {
		t.Errorf("%q", got)
	}
}

// LSN-2
func TestLimitPerAddress(t *testing.T) {
	l := limits{max: 100, perIP: 2, conns: map[*Conn]struct{}{}, byIP: map[netip.Addr]int{}}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	conns := []*Conn{{ip: a}, {ip: a}, {ip: b}}
	for _, c := range conns {
		if _, err := l.admit(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.admit(&Conn{ip: a}); err == nil {
		t.Error("a third of one address came in")
	}
	l.leave(conns[0])
	l.leave(conns[0])
	if _, err := l.admit(&Conn{ip: a}); err != nil {
		t.Error(err)
	}
	if _, err := l.admit(&Conn{ip: a}); err == nil {
		t.Error("leaving twice counted twice")
	}
}

// flaky fails to accept as a process without descriptors does, then gives connections.
type flaky struct {
	net.Listener
	mu    sync.Mutex
	fails int
	conns chan net.Conn
	done  chan struct{}
}

func (f *flaky) Accept() (net.Conn, error) {
	f.mu.Lock()
	fail := f.fails > 0
	f.fails--
	f.mu.Unlock()
	if fail {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	select {
	case nc := <-f.conns:
		return nc, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *flaky) Close() error { close(f.done); return nil }

// LSN-3: in virtual time, over a listener in memory.
func TestRunningOutOfFilesPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Text: echo("text"), MaxConnections: 5})
		f := &flaky{fails: 12, conns: make(chan net.Conn), done: make(chan struct{})}
		begin := time.Now()
		s.Serve("MEMORY", f)
		here, there := net.Pipe()
		f.conns <- there
		if waited := time.Since(begin); waited < 3*time.Second || waited > 12*time.Second {
			t.Errorf("twelve failures took %v", waited)
		}
		if got := ask(t, here, "x"); got != "text x\n" {
			t.Errorf("%q", got)
		}
		_ = here.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Who says nothing for connections.max.idle.ms is sent away.
func TestSilentConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Text: echo("text"), FirstByte: time.Minute})
		f := &flaky{conns: make(chan net.Conn), done: make(chan struct{})}
		s.Serve("MEMORY", f)
		here, there := net.Pipe()
		f.conns <- there
		begin := time.Now()
		_, err := here.Read(make([]byte, 1))
		if err != io.EOF || time.Since(begin) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		_ = s.Shutdown(context.Background())
	})
}

// LSN-4: silent connections end at once, doors are told, and what does not end is closed at the deadline.
func TestShutdownDrains(t *testing.T) {
	stuck := func(_ context.Context, nc net.Conn) { // ignores the drain, until its connection breaks
		_, _ = io.Copy(io.Discard, nc)
		_ = nc.Close()
	}
	s, addr := start(t, Options{Kafka: stuck, Text: echo("text")})
	silent, text, held := dial(t, addr), dial(t, addr), dial(t, addr)
	ask(t, text, "x")
	_, _ = held.Write([]byte{0})
	waitFor(func() bool { st := s.Stats(); return st.Open == 3 && st.Silent == 1 })
	ctx, cancel := context.WithCancelCause(context.Background())
	late := errors.New("late")
	ended := make(chan error)
	go func() { ended <- s.Shutdown(ctx) }()
	for _, nc := range []net.Conn{silent, text} {
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("it should be closed")
		}
	}
	waitFor(func() bool { return s.Stats().Open == 1 })
	if nc, err := net.Dial("tcp", addr); err == nil {
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := nc.Read(make([]byte, 1)); err == nil {
			t.Error("a connection was accepted")
		}
		_ = nc.Close()
	}
	cancel(late)
	if err := <-ended; !errors.Is(err, late) {
		t.Errorf("%v", err)
	}
}

func TestServeAfterShutdownClosesTheListener(t *testing.T) {
	s, _ := start(t, Options{})
	_ = s.Shutdown(context.Background())
	f := &flaky{conns: make(chan net.Conn), done: make(chan struct{})}
	s.Serve("LATE", f)
	<-f.done
}

func TestFilesAreLeftForLogs(t *testing.T) {
	for _, c := range []struct{ files, want int }{{20_000, 15_000}, {1024, 768}, {1 << 20, 1<<20 - 8192}, {1, 1}, {0, 1}} {
		if got := connectionsFor(c.files); got != c.want {
			t.Errorf("of %d files %d connections, want %d", c.files, got, c.want)
		}
	}
	if DefaultMaxConnections() < 1 {
		t.Error("none at all")
	}
}
