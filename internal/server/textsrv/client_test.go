package textsrv

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/brokertest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// client is one end of a real connection to a Server.
type client struct {
	t      *testing.T
	conn   *net.TCPConn
	r      *bufio.Reader
	served chan struct{} // closed when Serve has returned
}

// dial connects; at the end of the test the connection is closed and Serve must return (TXT-5).
func dial(ctx context.Context, t *testing.T, s *Server) *client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn.(*net.TCPConn), r: bufio.NewReader(conn), served: make(chan struct{})}
	go func() {
		defer close(c.served)
		s.Serve(ctx, theirs, &broker.Session{Door: "text", Host: "127.0.0.1"})
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-c.served
	})
	return c
}

// start gives a server over a new broker in memory, and a client.
func start(t *testing.T, o Options) (*brokertest.Broker, *Server, *client) {
	t.Helper()
	b := brokertest.New()
	s := New(b, o)
	return b, s, dial(t.Context(), t, s)
}

func (c *client) send(lines ...string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

// want reads lines and compares.
func (c *client) want(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if got := c.line(); got != want {
			c.t.Fatalf("answer %q, want %q", got, want)
		}
	}
}

// wantPrefix reads a line and compares its beginning.
func (c *client) wantPrefix(prefix string) {
	c.t.Helper()
	if got := c.line(); !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("answer %q, want one that begins with %q", got, prefix)
	}
}

// wantEnd reads the end of the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); err == nil || line != "" {
		c.t.Fatalf("answer %q, want the end of the connection", line)
	}
}

func publish(t *testing.T, b *brokertest.Broker, topic string, values ...string) {
	t.Helper()
	p := broker.NewPublisher(b, nil)
	for _, v := range values {
		m := broker.Message{Topic: topic, Partition: broker.AutoPartition, Records: []record.Record{{Value: []byte(v), Timestamp: kafka.NoTimestamp}}}
		if _, err := p.Publish(t.Context(), &broker.Session{}, &m); err != nil {
			t.Fatal(err)
		}
	}
}
