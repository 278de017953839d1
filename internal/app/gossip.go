package app

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/mesh"
	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/kafka"
)

// gossip begins to gossip with the brokers of the cluster. Without it everything goes on (MSH-2).
func (a *App) gossip(ctx context.Context) {
	if a.member == nil {
		return
	}
	at := a.peerListener.Addr().String()
	var lc net.ListenConfig
	socket, err := lc.ListenPacket(ctx, "udp", at)
	if err != nil {
		a.opts.Logger.Warn("there is no gossip: the UDP port of the same number as the peer port cannot be had. The cluster goes on without: silent brokers are noticed by their connections and leases alone", "address", at, "err", err)
		return
	}
	load := &loadMeter{a: a}
	m, err := mesh.Start(mesh.Options{
		Node: a.node, ClusterID: a.image().ClusterID, Advertise: a.peerAddr, Packets: socket, Dial: dialGossip, Seeds: a.voters, Load: load.now,
		Silent: func(id kafka.BrokerID) {
			if l := a.deciding.Load(); l != nil {
				l.Suspect(id)
			}
		},
		Logger: a.opts.Logger,
	})
	if err != nil {
		socket.Close()
		a.opts.Logger.Warn("there is no gossip; the cluster goes on without", "err", err)
		return
	}
	a.mesh.Store(m)
	a.onStop("gossip", func(context.Context) error { return m.Close() })
}

// dialGossip begins a stream of gossip at a peer port.
func dialGossip(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetWriteDeadline(end)
	}
	if _, err := conn.Write([]byte(peer.GossipMagic)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, conn.SetWriteDeadline(time.Time{})
}

// load is what a broker has told of itself by gossip, as clients are told it; nil: nothing is known.
func (a *App) load(id kafka.BrokerID) []byte {
	m := a.mesh.Load()
	if m == nil {
		return nil
	}
	if l, ok := m.Load(id); ok {
		return l.Append(nil)
	}
	return nil
}

// loadMeter turns counts into rates. The goroutine of the gossip calls it.
type loadMeter struct {
	a       *App
	at      time.Time
	in, out uint64
}

func (m *loadMeter) now() mesh.Load {
	s, now := m.a.kafka.Stats(), time.Now()
	l := mesh.Load{Connections: int64(s.Open), Leads: int64(m.a.replicas.Counts().Leaders)}
	if d := now.Sub(m.at).Seconds(); !m.at.IsZero() && d > 0 {
		l.BytesIn, l.BytesOut = rate(m.in, s.BytesIn, d), rate(m.out, s.BytesOut, d)
	}
	m.at, m.in, m.out = now, s.BytesIn, s.BytesOut
	return l
}

// rate is the growth of a counter in a second; 0 when it has fallen, as a sum over connections does at times.
func rate(was, is uint64, seconds float64) int64 {
	if is < was {
		return 0
	}
	return int64(float64(is-was) / seconds)
}
