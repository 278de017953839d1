package crash

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/testbin"
)

// nodes are the brokers of a cluster, each a process with a data directory of its own.
type nodes struct {
	t     testing.TB
	args  []string // of each
	dirs  []string
	kafka []string // addresses, which stay what they are
	peers []string
	procs []*testbin.Server // nil: not running
}

// newNodes chooses addresses for n brokers.
func newNodes(t testing.TB, n int, args ...string) *nodes {
	t.Helper()
	c := &nodes{t: t, args: args, procs: make([]*testbin.Server, n)}
	for range n {
		c.dirs = append(c.dirs, t.TempDir())
	}
	free := freeAddrs(t, 2*n)
	c.kafka, c.peers = free[:n], free[n:]
	return c
}

// freeAddrs are loopback addresses that nobody listens on now.
func freeAddrs(t testing.TB, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// begin starts broker i with the line that is the same on every broker but for its own addresses.
func (c *nodes) begin(i int) {
	c.t.Helper()
	c.procs[i] = testbin.Begin(c.t, append([]string{
		"--node-id", fmt.Sprint(i + 1), "--data-dir", c.dirs[i], "--kafka-addr", c.kafka[i], "--peer-addr", c.peers[i],
		"--join", strings.Join(c.peers, ","), "--bootstrap-expect", fmt.Sprint(len(c.peers)),
	}, c.args...)...)
}

func (c *nodes) ready(i int) {
	c.t.Helper()
	c.procs[i].Ready(c.t)
}

// start starts those that do not run and waits until they are ready.
func (c *nodes) start() {
	c.t.Helper()
	var begun []int
	for i, p := range c.procs {
		if p == nil {
			c.begin(i)
			begun = append(begun, i)
		}
	}
	for _, i := range begun {
		c.ready(i)
	}
}

func (c *nodes) kill(i int) {
	c.procs[i].Kill()
	c.procs[i] = nil
}

func (c *nodes) stop(i int) {
	c.t.Helper()
	if _, code := c.procs[i].Stop(c.t); code != 0 {
		c.t.Errorf("broker %d ended with exit code %d after a clean stop:\n%s", i+1, code, c.procs[i].Log())
	}
	c.procs[i] = nil
}

// logs prints what the brokers said, if the test failed.
func (c *nodes) logs() {
	if !c.t.Failed() {
		return
	}
	for i, p := range c.procs {
		if p != nil {
			c.t.Logf("broker %d:\n%s", i+1, p.Log())
		}
	}
}
