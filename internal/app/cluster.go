package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/cluster/lanes"
	"github.com/rafka-io/rafka/internal/cluster/mesh"
	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

// openPeers serves the peer port, first with what a node says that looks for its cluster. Without a peer address there is none, and this broker
// stays a cluster of one. Who asks for others and has no such address is refused, rather than left with a cluster of its own that nobody can join.
func (a *App) openPeers(_ context.Context) error {
	st := a.opts.Static
	if a.peerListener == nil {
		var err error
		if len(st.List("rafka.join")) > 0 || st.Int("rafka.bootstrap.expect") > 1 {
			err = errors.New("to join or found a cluster (--join, --bootstrap-expect) a broker needs an address at which the others reach it: give --peer-addr HOST:PORT")
		}
		if a.opts.Ephemeral {
			return err
		}
		id, ok, loadErr := join.Load(vfs.OS(), a.metadataDir())
		switch {
		case loadErr != nil:
			err = loadErr
		case ok && id.Belongs():
			err = fmt.Errorf("the data directory belongs to node %d of cluster %s, whose brokers must reach this one: give --peer-addr (it was %s)", id.Node, id.ClusterID, id.Listen["rafka.peer.address"])
		}
		return err
	}
	if a.opts.Ephemeral {
		return errors.New("a broker in memory cannot be of a cluster: leave out --ephemeral or --peer-addr")
	}
	a.peerAddr = advertisedPeer(st.String("rafka.peer.advertised.address"), a.peerListener.Addr(), st.List("rafka.join"))
	want := a.wantedID()
	a.peers = peer.New(peer.Options{
		Self: func() (kafka.BrokerID, string) {
			id := a.member.Identity()
			return id.Node, id.ClusterID
		},
		Addrs: a.peerAddrs, Logger: a.opts.Logger,
	})
	a.onStop("connections to other brokers", func(context.Context) error { return a.peers.Close() })
	a.lanes = lanes.New(lanes.Options{Dial: func(ctx context.Context, to kafka.BrokerID) (lanes.Conn, error) { return a.dialPeer(ctx, to) }})
	a.onStop("requests to other brokers", func(context.Context) error { a.lanes.Close(); return nil })
	var err error
	a.member, err = join.Open(join.Options{
		FS: vfs.OS(), Dir: a.metadataDir(), Peer: a.peerAddr, Want: want, ClusterID: st.String("rafka.cluster.id"), Addrs: st.List("rafka.join"),
		Expect: int(st.Int("rafka.bootstrap.expect")), Voters: int(st.Int("rafka.metadata.voters")), Listen: a.listening(), Call: a.peers.CallAddr, Resolve: mesh.Resolve, Logger: a.opts.Logger,
	})
	if err != nil {
		return err
	}
	methods := map[string]peer.Handler{}
	for name, fn := range a.member.Methods() {
		methods[name] = func(ctx context.Context, _ peer.Caller, body []byte) ([]byte, error) { return fn(ctx, body) }
	}
	methods[methodVote] = a.serveVote
	a.peerServer = peer.NewServer(peer.ServerOptions{
		Methods: methods, More: a.method, Kafka: a.servePeer, Node: func() kafka.BrokerID { return a.member.Identity().Node }, ClusterID: func() string { return a.member.Identity().ClusterID },
		Raft:   func() (net.Conn, error) { return a.etcdConn((*quorum.Cluster).RaftConn) },
		Client: func() (net.Conn, error) { return a.etcdConn((*quorum.Cluster).ClientConn) },
		Gossip: func(c net.Conn) {
			if m := a.mesh.Load(); m != nil {
				_ = m.Serve(c) // who gossips tries again
			}
		},
		OnClosed: func(c peer.Caller) {
			if l := a.deciding.Load(); l != nil {
				l.OnClosed(c)
			}
		},
		Logger: a.opts.Logger,
	})
	a.serving.Go(func() {
		if err := a.peerServer.Serve(a.peerListener); err != nil && !errors.Is(err, net.ErrClosed) {
			a.opts.Logger.Error("door closed", "door", "peer", "err", err)
		}
	})
	a.onStop("peer port", func(context.Context) error { return a.peerServer.Close() })
	return nil
}

// wantedID is the node id that the configuration asks for; NoBroker: any.
func (a *App) wantedID() kafka.BrokerID {
	st := a.opts.Static
	for _, key := range []string{"node.id", "broker.id"} {
		if _, _, ok := st.Set(key); ok {
			return kafka.BrokerID(st.NodeID())
		}
	}
	return kafka.NoBroker
}

// method finds a method of the controller or of the replicas, which are there once the node's cluster is known.
func (a *App) method(name string) peer.Handler {
	if l := a.deciding.Load(); l != nil {
		if fn := a.replicas.Methods()[name]; fn != nil {
			return func(ctx context.Context, _ peer.Caller, body []byte) ([]byte, error) { return fn(ctx, body) }
		}
		return l.Methods()[name]
	}
	return nil
}

// servePeer serves a broker that speaks Kafka's protocol, once the doors are open.
func (a *App) servePeer(ctx context.Context, nc net.Conn) {
	if !a.ready.Load() {
		nc.Close()
		return
	}
	a.kafka.ServePeer(ctx, nc)
}

var errNoVoter = errors.New("this broker has no voter of the metadata's store")

func (a *App) etcdConn(dial func(*quorum.Cluster) (net.Conn, error)) (net.Conn, error) {
	if c := a.voter.Load(); c != nil {
		return dial(c)
	}
	return nil, errNoVoter
}

// peerAddrs are the addresses of a broker's peer port: as it has registered them, else as the cluster was founded with.
func (a *App) peerAddrs(id kafka.BrokerID) []string {
	if l := a.deciding.Load(); l != nil {
		if b := l.Image().Brokers[id]; b != nil && len(b.Peers) > 0 {
			return b.Peers
		}
	}
	var addrs []string
	self := a.member.Identity()
	for _, list := range [][]join.Member{self.Members, self.Nodes} {
		for _, m := range list {
			if m.Node == id {
				return []string{m.Peer}
			}
		}
	}
	return addrs
}

// voters are addresses at which the metadata's store can be reached: those that were known when this node joined or ran last, and every broker's, of which
// those that have no voter close the connection.
func (a *App) voters() []string {
	var addrs []string
	add := func(addr string) {
		for _, known := range addrs {
			if known == addr {
				return
			}
		}
		addrs = append(addrs, addr)
	}
	id := a.member.Identity()
	for _, m := range id.Members {
		add(m.Peer)
	}
	for _, addr := range id.Known {
		add(addr)
	}
	if l := a.deciding.Load(); l != nil {
		for _, b := range l.Image().Brokers {
			if b.ID != a.node && len(b.Peers) > 0 {
				add(b.Peers[0])
			}
		}
	}
	for _, addr := range a.opts.Static.List("rafka.join") {
		add(addr)
	}
	return addrs
}

func peerURL(addr string) string { return "http://" + addr }

func quorumMembers(list []join.Member) (members []quorum.Member) {
	for _, m := range list {
		members = append(members, quorum.Member{Node: m.Node, PeerURL: peerURL(m.Peer)})
	}
	return members
}

func addresses(list []join.Member) string {
	var addrs []string
	for _, m := range list {
		addrs = append(addrs, m.Peer)
	}
	return strings.Join(addrs, ", ")
}

// image is the metadata of this moment, Empty before there is any.
func (a *App) image() *metadata.Image {
	if l := a.deciding.Load(); l != nil {
		return l.Image()
	}
	return metadata.Empty()
}

// advertisedPeer is the address of the peer port that others are told. If the port listens on all interfaces, that is the address from which this
// machine would speak to those that it joins.
func advertisedPeer(configured string, listening net.Addr, others []string) string {
	if configured != "" {
		return configured
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return listening.String()
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return listening.String()
	}
	for _, other := range append(others, "192.0.2.1:9") { // of TEST-NET-1: nothing is sent, the system only chooses a route
		if c, err := net.Dial("udp", other); err == nil {
			host, _, _ = net.SplitHostPort(c.LocalAddr().String())
			c.Close()
			return net.JoinHostPort(host, port)
		}
	}
	return net.JoinHostPort("127.0.0.1", port)
}
