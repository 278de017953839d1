package mesh

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Options of a Mesh. All are required.
type Options struct {
	Node      kafka.BrokerID
	ClusterID string
	// Advertise is HOST:PORT of the own peer port as others reach it. A name is resolved once.
	Advertise string
	// Packets is the UDP socket at the number of the peer port; the Mesh owns it.
	Packets net.PacketConn
	// Dial begins a stream to the Mesh behind a peer port.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Seeds are peer addresses at which there may be others; it is asked again and again.
	Seeds func() []string
	// Load is what this broker has to do now.
	Load func() Load
	// Silent is told that a broker does not answer, as far as gossip goes. It must be quick.
	Silent func(kafka.BrokerID)
	Logger *slog.Logger
}

const (
	// probeInterval and probeTimeout: who does not answer in time is asked by others, and said to be silent after suspicion times the interval.
	probeInterval = 500 * time.Millisecond
	probeTimeout  = 200 * time.Millisecond
	suspicion     = 3
	streamTimeout = 2 * time.Second
	// tellInterval is how often the own load is told, and seeds are looked for.
	tellInterval = 3 * time.Second
	maxNodes     = 512
)

// Mesh is this broker's part in the gossip.
type Mesh struct {
	opts      Options
	transport *transport
	list      *memberlist.Memberlist
	cancel    context.CancelFunc
	wg        sync.WaitGroup

	mu    sync.Mutex // guards what follows; a leaf
	own   Load
	loads map[kafka.BrokerID]Load // of brokers that answer
}

// Start begins to gossip.
func Start(o Options) (*Mesh, error) {
	self, err := net.ResolveUDPAddr("udp", o.Advertise)
	if err != nil || self.IP == nil {
		return nil, fmt.Errorf("the peer address %s: %w", o.Advertise, err)
	}
	m := &Mesh{opts: o, own: o.Load(), loads: map[kafka.BrokerID]Load{}}
	m.transport = newTransport(self, o.Packets, o.Dial)
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label, c.Transport = strconv.Itoa(int(o.Node)), o.ClusterID, m.transport
	c.BindPort, c.AdvertisePort = self.Port, self.Port
	c.ProbeInterval, c.ProbeTimeout, c.SuspicionMult, c.SuspicionMaxTimeoutMult = probeInterval, probeTimeout, suspicion, 1
	c.GossipInterval, c.PushPullInterval, c.TCPTimeout, c.IndirectChecks = 200*time.Millisecond, 15*time.Second, streamTimeout, 2
	c.DeadNodeReclaimTime, c.GossipToTheDeadTime = time.Second, 10*time.Second
	c.EnableCompression, c.HandoffQueueDepth = false, maxNodes
	c.Delegate, c.Events = delegate{m}, delegate{m}
	c.Alive, c.Merge = delegate{m}, nil
	c.Logger = log.New(lines{o.Logger}, "", 0)
	if m.list, err = memberlist.Create(c); err != nil {
		_ = m.transport.Shutdown()
		return nil, fmt.Errorf("begin to gossip: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.wg.Go(func() { m.run(ctx) })
	return m, nil
}

// Serve serves a stream that came in on the peer port to its end.
func (m *Mesh) Serve(conn net.Conn) error { return m.transport.serve(conn) }

// Load is what a broker has told of itself; ok is false of one that gossip knows nothing of.
func (m *Mesh) Load(id kafka.BrokerID) (l Load, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id == m.opts.Node {
		return m.own, true
	}
	l, ok = m.loads[id]
	return l, ok
}

// Close ends the gossip, and tells others first that this broker leaves.
func (m *Mesh) Close() error {
	m.cancel()
	m.wg.Wait()
	_ = m.list.Leave(200 * time.Millisecond) // who does not hear it finds out
	return m.list.Shutdown()
}

// run looks for others and tells the own load.
func (m *Mesh) run(ctx context.Context) {
	tick := time.NewTicker(tellInterval)
	defer tick.Stop()
	for {
		m.seek(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := m.opts.Load()
		m.mu.Lock()
		changed := m.own != now
		m.own = now
		m.mu.Unlock()
		if changed {
			_ = m.list.UpdateNode(probeInterval) // told again with the next change
		}
	}
}

// seek joins those that are not known yet.
func (m *Mesh) seek(ctx context.Context) {
	known := map[string]bool{}
	for _, n := range m.list.Members() {
		known[n.Address()] = true
	}
	for _, addr := range Resolve(ctx, m.opts.Seeds()) {
		at, err := net.ResolveUDPAddr("udp", addr)
		if err != nil || known[at.String()] || ctx.Err() != nil {
			continue
		}
		if _, err := m.list.Join([]string{at.String()}); err != nil {
			m.opts.Logger.Debug("nobody to gossip with", "at", addr, "err", err)
		}
	}
}

// delegate is what memberlist tells and asks.
type delegate struct{ m *Mesh }

// NodeMeta implements memberlist.Delegate.
func (d delegate) NodeMeta(limit int) []byte {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	b := d.m.own.Append(nil)
	if len(b) > limit {
		return nil
	}
	return b
}

// NotifyMsg, GetBroadcasts, LocalState and MergeRemoteState implement memberlist.Delegate: there is nothing but the load.
func (delegate) NotifyMsg([]byte)                  {}
func (delegate) GetBroadcasts(int, int) [][]byte   { return nil }
func (delegate) LocalState(bool) []byte            { return nil }
func (delegate) MergeRemoteState(_ []byte, _ bool) {}

// NotifyAlive implements memberlist.AliveDelegate: who has no broker's name, or is one too many, is not taken.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	if _, err := nodeOf(n); err != nil {
		return err
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if len(d.m.loads) >= maxNodes {
		return fmt.Errorf("gossip knows %d brokers already", maxNodes)
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (d delegate) NotifyJoin(n *memberlist.Node) { d.NotifyUpdate(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (d delegate) NotifyUpdate(n *memberlist.Node) {
	id, err := nodeOf(n)
	if err != nil || id == d.m.opts.Node {
		return
	}
	load, err := DecodeLoad(n.Meta)
	if err != nil {
		return
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if _, known := d.m.loads[id]; known || len(d.m.loads) < maxNodes {
		d.m.loads[id] = load
	}
}

// NotifyLeave implements memberlist.EventDelegate: the broker has left, or answers nobody (MSH-1).
func (d delegate) NotifyLeave(n *memberlist.Node) {
	id, err := nodeOf(n)
	if err != nil || id == d.m.opts.Node {
		return
	}
	d.m.mu.Lock()
	delete(d.m.loads, id)
	d.m.mu.Unlock()
	d.m.opts.Silent(id)
}

func nodeOf(n *memberlist.Node) (kafka.BrokerID, error) {
	id, err := strconv.ParseInt(n.Name, 10, 32)
	if err != nil || id < 0 {
		return kafka.NoBroker, fmt.Errorf("%q is no broker", n.Name)
	}
	return kafka.BrokerID(id), nil
}

// lines gives what memberlist logs to our logger. All of it is of interest only to who looks into the gossip.
type lines struct{ to *slog.Logger }

// Write implements io.Writer.
func (l lines) Write(b []byte) (int, error) {
	l.to.Debug("gossip", "says", string(bytes.TrimSpace(b)))
	return len(b), nil
}
