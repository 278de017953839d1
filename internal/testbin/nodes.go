package testbin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/porttest"
)

// Nodes are the brokers of a cluster, each a process with a data directory of its own.
type Nodes struct {
	T     testing.TB
	Args  []string // of each
	Dirs  []string
	Kafka []string // addresses, which stay what they are
	Peers []string
	Procs []*Server // nil: not running
	Bins  []string  // the binary of each broker; "": the one of this source
	// In starts a process where broker i lives, as in a network namespace of its own; nil: here.
	In func(i int, start func())

	lives [][]*Server // all processes of each broker
}

// NewNodes chooses loopback addresses for n brokers.
func NewNodes(t testing.TB, n int, args ...string) *Nodes {
	t.Helper()
	c := &Nodes{T: t, Args: args, Procs: make([]*Server, n), Bins: make([]string, n), lives: make([][]*Server, n)}
	for range n {
		c.Dirs = append(c.Dirs, t.TempDir())
	}
	free := porttest.Free(t, 2*n)
	c.Kafka, c.Peers = free[:n], free[n:]
	return c
}

// Begin starts broker i with the line that is the same on every broker but for its own addresses.
func (c *Nodes) Begin(i int) {
	c.T.Helper()
	start := func() {
		bin := c.Bins[i]
		if bin == "" {
			bin = Binary(c.T)
		}
		c.Procs[i] = BeginOf(c.T, bin, append([]string{
			"--node-id", fmt.Sprint(i + 1), "--data-dir", c.Dirs[i], "--kafka-addr", c.Kafka[i], "--peer-addr", c.Peers[i],
			"--join", strings.Join(c.Peers, ","), "--bootstrap-expect", fmt.Sprint(len(c.Peers)),
		}, c.Args...)...)
		c.lives[i] = append(c.lives[i], c.Procs[i])
	}
	Binary(c.T) // now, for In may be no place to build something
	if c.In == nil {
		start()
		return
	}
	c.In(i, start)
}

// Start starts those that do not run and waits until they are ready.
func (c *Nodes) Start() {
	c.T.Helper()
	var begun []int
	for i, p := range c.Procs {
		if p == nil {
			c.Begin(i)
			begun = append(begun, i)
		}
	}
	for _, i := range begun {
		c.Procs[i].Ready(c.T)
	}
}

// Kill ends broker i with SIGKILL.
func (c *Nodes) Kill(i int) {
	c.Procs[i].Kill()
	c.Procs[i] = nil
}

// Stop ends broker i in order.
func (c *Nodes) Stop(i int) {
	c.T.Helper()
	if _, code := c.Procs[i].Stop(c.T); code != 0 {
		c.T.Errorf("broker %d ended with exit code %d after a clean stop:\n%s", i+1, code, c.Procs[i].Log())
	}
	c.Procs[i] = nil
}

// Logs prints what the brokers said, if the test failed.
func (c *Nodes) Logs() {
	if !c.T.Failed() {
		return
	}
	for i, lives := range c.lives {
		for life, p := range lives {
			c.T.Logf("broker %d, life %d:\n%s", i+1, life+1, p.Log())
		}
	}
}
