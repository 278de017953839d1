package mesh

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/porttest"
)

// port is a peer port that serves streams of gossip only.
type port struct {
	net.Listener
	mesh *Mesh
	load Load

	mu     sync.Mutex
	silent []kafka.BrokerID
	conns  []net.Conn
	wg     sync.WaitGroup
}

func start(t *testing.T, node kafka.BrokerID, cluster string, load Load, seeds ...string) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Skipf("no UDP port of the same number: %v", err)
	}
	p := &port{Listener: l, load: load}
	p.mesh, err = Start(Options{
		Node: node, ClusterID: cluster, Advertise: l.Addr().String(), Packets: socket, Load: func() Load { return load },
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
		Seeds: func() []string { return seeds },
		Silent: func(id kafka.BrokerID) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.silent = append(p.silent, id)
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = p.mesh.Close()
		p.end()
	})
	return p
}

func (p *port) accept() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		p.wg.Go(func() {
			defer c.Close()
			_ = p.mesh.Serve(c)
		})
	}
}

// end closes the port as a process does that is killed.
func (p *port) end() {
	p.Close()
	_ = p.mesh.transport.Shutdown()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *port) knows(o *port, id kafka.BrokerID) bool {
	l, ok := p.mesh.Load(id)
	return ok && l == o.load
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// MSH-1, MSH-3: three find each other by one seed and hear each other's load; of one that ends without a word the others are told, and one of
// another cluster is not heard at all.
func TestBrokersHearOfEachOther(t *testing.T) {
	a := start(t, 1, "c", Load{Connections: 1, Leads: 7})
	b := start(t, 2, "c", Load{BytesIn: 2}, a.Addr().String())
	c := start(t, 3, "c", Load{BytesOut: 1 << 40}, a.Addr().String())
	stranger := start(t, 4, "other", Load{Leads: 4}, a.Addr().String(), b.Addr().String())
	eventually(t, "everybody knows everybody", func() bool {
		return a.knows(b, 2) && a.knows(c, 3) && b.knows(a, 1) && b.knows(c, 3) && c.knows(a, 1) && c.knows(b, 2)
	})
	c.end()
	eventually(t, "the others hear that it is silent", func() bool {
		for _, p := range []*port{a, b} {
			p.mu.Lock()
			heard := slices.Contains(p.silent, 3)
			p.mu.Unlock()
			if _, known := p.mesh.Load(3); !heard || known {
				return false
			}
		}
		return true
	})
	if _, known := a.mesh.Load(4); known || stranger.knows(a, 1) {
		t.Fatal("brokers of different clusters hear each other")
	}
}

func TestResolveTakesAllAddressesOfAName(t *testing.T) {
	lookUp := func(_ context.Context, name string) ([]string, error) {
		switch name {
		case "many":
			return []string{"10.0.0.1", "10.0.0.2", "::1"}, nil
		case "one":
			return []string{"10.0.0.9"}, nil
		}
		return nil, errors.New("no such host")
	}
	got := resolve(t.Context(), []string{"many:1", "one:2", "gone:3", "10.0.0.2:1", "bad"}, lookUp)
	if want := []string{"10.0.0.1:1", "10.0.0.2:1", "[::1]:1", "one:2", "gone:3", "bad"}; !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func FuzzDecodeLoad(f *testing.F) {
	f.Add(Load{1, 2, 3, 4}.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeLoad(b)
		if err != nil {
			return
		}
		if back, err := DecodeLoad(l.Append(nil)); err != nil || back != l {
			t.Fatalf("%v reads as %v (%v)", l, back, err)
		}
	})
}

// MSH-2: where nobody can be reached, everything that a broker asks of gossip is answered, and it ends.
func TestGossipWithNobodyKeepsNobodyWaiting(t *testing.T) {
	p := start(t, 1, "c", Load{Leads: 3}, porttest.Free(t, 1)[0], "no-such-host.invalid:1")
	if l, ok := p.mesh.Load(1); !ok || l != p.load {
		t.Fatal(l, ok)
	}
	if _, ok := p.mesh.Load(2); ok {
		t.Fatal("it knows a broker that there is not")
	}
}
