package textsrv_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/rafkatest"
)

// No goroutine outlives a test: not those that keep memberships, not those that answer (TXT-5).
func TestMain(m *testing.M) { leaktest.Main(m) }

// talker is somebody with nc at a whole broker.
type talker struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func talkTo(t *testing.T, b *rafkatest.Broker) *talker {
	t.Helper()
	conn, err := b.Dial(t.Context(), "tcp", b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &talker{t, conn, bufio.NewReader(conn)}
}

func (c *talker) send(lines ...string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		c.t.Fatal(err)
	}
}

func (c *talker) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

// converse sends each line that begins with "> " and compares the answers with the lines below it.
func (c *talker) converse(script string) {
	c.t.Helper()
	said := ""
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if say, isSaid := strings.CutPrefix(line, "> "); isSaid {
			said = say
			c.send(say)
		} else if line != "" {
			if got := c.line(); got != line {
				c.t.Fatalf("%q: answer %q, want %q", said, got, line)
			}
		}
	}
}

// until repeats a command of one answer block until its first line is the wanted one: what happens meanwhile happens on another connection.
func (c *talker) until(say, want string) {
	c.t.Helper()
	for {
		c.send(say)
		first := c.line()
		for last := first; !strings.HasPrefix(last, "END ") && !strings.HasPrefix(last, "ERROR"); {
			last = c.line()
		}
		if first == want {
			return
		}
		if c.t.Context().Err() != nil {
			c.t.Fatalf("%q: answer %q, want %q", say, first, want)
		}
	}
}
