package quorum_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// patience is how long a test waits for what must come; a loaded machine may take most of it.
const patience = 2 * time.Minute

// port stands for a node's peer port: it copies HTTP/1 to the etcd's one socket and HTTP/2 to the other.
type port struct {
	l  net.Listener
	wg sync.WaitGroup

	frozen sync.RWMutex // held while nothing is copied

	mu    sync.Mutex
	to    *quorum.Cluster // nil: connections are closed
	conns map[net.Conn]struct{}
}

func newPort(t testing.TB) *port {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{l: l, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.hangUp()
		p.wg.Wait()
	})
	return p
}

func (p *port) addr() string { return p.l.Addr().String() }
func (p *port) url() string  { return "http://" + p.addr() }

func (p *port) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *port) serve(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	to := p.to
	p.conns[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}()
	if to == nil {
		return
	}
	r := bufio.NewReader(c)
	first, err := r.Peek(4)
	if err != nil {
		return
	}
	dial := to.RaftConn
	if string(first) == "PRI " {
		dial = to.ClientConn
	}
	e, err := dial()
	if err != nil {
		return
	}
	defer e.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(gated{c, p}, e)
		c.Close()
	}()
	_, _ = io.Copy(gated{e, p}, r)
	e.Close()
	<-done
}

// gated is a connection that waits while its port is frozen.
type gated struct {
	net.Conn
	p *port
}

func (g gated) Write(b []byte) (int, error) {
	g.p.frozen.RLock()
	defer g.p.frozen.RUnlock()
	return g.Conn.Write(b)
}

// lead makes the port lead to a Cluster, or nowhere.
func (p *port) lead(to *quorum.Cluster) {
	p.mu.Lock()
	p.to = to
	p.mu.Unlock()
	if to == nil {
		p.hangUp()
	}
}

func (p *port) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// node is a member of a test's cluster.
type node struct {
	*quorum.Cluster
	*port
	opts quorum.ClusterOptions
}

func (n *node) member() quorum.Member {
	return quorum.Member{Node: n.opts.Node, PeerURL: n.opts.PeerURL}
}

func newNode(t testing.TB, id kafka.BrokerID) *node {
	p := newPort(t)
	return &node{port: p, opts: quorum.ClusterOptions{
		Dir:        filepath.Join(t.TempDir(), "quorum"),
		Node:       id,
		PeerURL:    p.url(),
		Logger:     slog.New(slog.DiscardHandler),
		TickMs:     10,
		ElectionMs: 100,
	}}
}

// run makes n run what start returns until the test ends.
func (n *node) run(t testing.TB, start func() (*quorum.Cluster, error)) {
	t.Helper()
	c, err := start()
	if err != nil {
		t.Fatal(err)
	}
	n.Cluster = c
	n.lead(c)
	t.Cleanup(func() { _ = c.Close() })
}

func (n *node) restart(t testing.TB) {
	t.Helper()
	n.run(t, func() (*quorum.Cluster, error) { return quorum.Restart(t.Context(), n.opts) })
}

// kill ends the node as a crash would.
func (n *node) kill() {
	n.lead(nil)
	_ = n.Kill()
}

// startNew starts a cluster of n nodes, all at the same time.
func startNew(t testing.TB, n int) []*node {
	t.Helper()
	nodes := make([]*node, n)
	members := make([]quorum.Member, n)
	for i := range nodes {
		nodes[i] = newNode(t, kafka.BrokerID(i+1))
		members[i] = nodes[i].member()
	}
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i, node := range nodes {
		wg.Go(func() {
			node.Cluster, errs[i] = quorum.StartNew(t.Context(), node.opts, "token", members)
			node.lead(node.Cluster)
		})
	}
	wg.Wait()
	for i, node := range nodes {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		t.Cleanup(func() { _ = node.Close() })
	}
	return nodes
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// leader waits until one of the nodes leads.
func leader(t testing.TB, nodes ...*node) *node {
	t.Helper()
	var found *node
	eventually(t, "a leader", func() bool {
		for _, n := range nodes {
			if n.Leadership().Here {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

// commit commits one setting through whichever of the nodes leads. On a loaded machine that may change at any time, and a commit may have
// to be made twice.
func commit(t testing.TB, nodes []*node, name, value string) quorum.Revision {
	t.Helper()
	var r quorum.Revision
	eventually(t, "a commit", func() bool {
		l := leader(t, nodes...)
		var err error
		r, err = l.Commit(within(t), l.Leadership().Term, nil, []metadata.Record{quorumtest.Set(name, value)})
		if err != nil && !errors.Is(err, quorum.ErrStaleTerm) && !errors.Is(err, quorum.ErrOutcomeUnknown) {
			t.Fatal(err)
		}
		return err == nil
	})
	return r
}

// settings are the settings of all brokers, as a node loads them, and their revision.
func settings(t *testing.T, s quorum.Store) (map[string]string, quorum.Revision) {
	t.Helper()
	img, r := quorumtest.Image(t, s)
	return img.Configs[metadata.Resource{Type: metadata.ResourceBroker}], r
}

func others(nodes []*node, not *node) []*node {
	var list []*node
	for _, n := range nodes {
		if n != not {
			list = append(list, n)
		}
	}
	return list
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
