package join

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Options of a Node. Everything without a default in brackets is required.
type Options struct {
	FS  vfs.FS
	Dir string // of the metadata
	// Peer is HOST:PORT at which others reach this node's peer port.
	Peer string
	// Want is the node id asked for. NoBroker: any.
	Want kafka.BrokerID
	// ClusterID is the cluster it must be, if the configuration says. [any]
	ClusterID string
	// Addrs are the peer addresses to look at; this node's own may be among them.
	Addrs []string
	// Expect is how many fresh nodes found a cluster; 0: none is founded, one is joined.
	Expect int
	// Voters is how many of the nodes keep the metadata's store. [3]
	Voters int
	// Listen are the settings that say where this node listens. They are kept in its identity.
	Listen map[string]string
	// Call calls a method of the node at an address.
	Call func(ctx context.Context, addr, method string, body []byte) ([]byte, error)
	// Resolve puts all addresses of a name in its place, as those of a headless service; it is called before each look. [names stay as they are]
	Resolve func(ctx context.Context, addrs []string) []string
	// NewID draws ids. [kafka.NewUUID]
	NewID func() kafka.UUID
	// Logger [slog.Default()]
	Logger *slog.Logger
}

// Admit lets a node into the cluster that this one belongs to.
type Admit func(ctx context.Context, a Admission) (Admitted, error)

// Node is this node's part in finding its cluster.
type Node struct {
	opts Options

	mu    sync.Mutex // guards what follows. Held across the write of the identity, which happens a few times in a node's life
	id    Identity
	admit Admit
	// promises counts those that were given or confirmed since the start.
	promises int
}

// Open reads the identity of the metadata directory, or makes one.
func Open(o Options) (*Node, error) {
	if o.Voters <= 0 {
		o.Voters = 3
	}
	if o.Resolve == nil {
		o.Resolve = func(_ context.Context, addrs []string) []string { return addrs }
	}
	if o.NewID == nil {
		o.NewID = kafka.NewUUID
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	id, ok, err := Load(o.FS, o.Dir)
	if err != nil {
		return nil, err
	}
	n := &Node{opts: o, id: id}
	if !ok {
		n.id.Directory = o.NewID()
	}
	if !ok || !maps.Equal(n.id.Listen, o.Listen) {
		n.id.Listen = o.Listen
		if err := n.saveLocked(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Identity is what the directory knows of itself now.
func (n *Node) Identity() Identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

func (n *Node) promisesNow() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.promises
}

// Serve lets others in from now on. A node that belongs to no cluster is one of its own then, and becomes one of several when it lets somebody in.
func (n *Node) Serve(admit Admit) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.admit = admit
}

// Belong notes durably that the node is of a cluster: one that others join while it is a cluster of its own.
func (n *Node) Belong(a Admitted) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.belongLocked(a, nil)
}

// Seat notes durably that this node of a cluster has a vote from now on, with the members of the store, or has it no more.
func (n *Node) Seat(voter bool, members []Member) error {
	return n.change(func(id *Identity) { id.Voter, id.Founding, id.Members = voter, false, members })
}

// Know notes durably at which addresses the store is lately to be had.
func (n *Node) Know(addrs []string) error {
	if slices.Equal(n.Identity().Known, addrs) {
		return nil
	}
	return n.change(func(id *Identity) { id.Known = addrs })
}

// Registered notes durably that the controller knows what this node's disk has.
func (n *Node) Registered() error {
	if id := n.Identity(); !id.EmptyDisk {
		return nil
	}
	return n.change(func(id *Identity) { id.EmptyDisk = false })
}

// change changes what the directory knows of itself, durably or not at all.
func (n *Node) change(fn func(*Identity)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.id
	fn(&n.id)
	if err := n.saveLocked(); err != nil {
		n.id = was
		return err
	}
	return nil
}

func (n *Node) belongLocked(a Admitted, nodes []Member) error {
	was := n.id
	if was.Belongs() && (was.ClusterID != a.ClusterID || was.Node != a.Node) {
		return errorf("this data directory is of node %d of cluster %s and cannot become node %d of %s: use another", was.Node, was.ClusterID, a.Node, a.ClusterID)
	}
	n.id.ClusterID, n.id.Node, n.id.Voter, n.id.Founding, n.id.Members, n.id.Nodes = a.ClusterID, a.Node, a.Voter, a.Founding, a.Members, nodes
	n.id.EmptyDisk, n.id.Store = a.EmptyDisk, a.Store
	if err := n.saveLocked(); err != nil {
		n.id = was
		return err
	}
	return nil
}

func (n *Node) saveLocked() error { return Save(n.opts.FS, n.opts.Dir, n.id) }

// Methods are what other nodes call, to be served on the peer port before Find.
func (n *Node) Methods() map[string]func(ctx context.Context, body []byte) ([]byte, error) {
	return map[string]func(ctx context.Context, body []byte) ([]byte, error){
		methodStatus:  func(context.Context, []byte) ([]byte, error) { return encode(n.status()), nil },
		methodPromise: n.serve(n.promised),
		methodRelease: n.serve(n.released),
		methodFound:   n.found,
		methodAdmit:   n.admitted,
	}
}

func (n *Node) serve(fn func(promise) error) func(context.Context, []byte) ([]byte, error) {
	return func(_ context.Context, body []byte) ([]byte, error) {
		p, err := decode[promise](body)
		if err != nil {
			return nil, err
		}
		return nil, fn(p)
	}
}

func (n *Node) status() status {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := status{Directory: n.id.Directory, Peer: n.opts.Peer, ClusterID: n.id.ClusterID, Node: n.id.Node, Expect: n.opts.Expect, Promised: n.id.Promised}
	if !n.id.Belongs() {
		s.Node = n.opts.Want
	}
	s.Admits = n.admit != nil // a cluster of one does, too, and is one of several from then on
	return s
}

// promised promises this node to a founder (JOI-2).
func (n *Node) promised(p promise) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.id.Belongs():
		return errorf("this node is of cluster %s already", n.id.ClusterID)
	case n.admit != nil:
		return errorf("this node is a cluster of one: join it")
	case n.opts.Expect <= 0:
		return errorf("this node was not told to found a cluster")
	case n.id.Promised == p.Founder:
		n.promises++
		return nil
	case !n.id.Promised.IsZero():
		return errorf("this node is promised to another founder, at %s", n.id.PromisedTo)
	}
	return n.promiseLocked(p)
}

func (n *Node) promiseLocked(p promise) error {
	was := n.id
	n.promises++
	n.id.Promised, n.id.PromisedTo = p.Founder, p.Peer
	if err := n.saveLocked(); err != nil {
		n.id = was
		return err
	}
	return nil
}

// released ends a promise, if it is to that founder.
func (n *Node) released(p promise) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id.Belongs() || n.id.Promised != p.Founder || p.Founder.IsZero() {
		return nil
	}
	return n.promiseLocked(promise{})
}

// found takes what the founder has founded.
func (n *Node) found(_ context.Context, body []byte) ([]byte, error) {
	f, err := decode[founding](body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.id.ClusterID == f.ClusterID && f.ClusterID != "" {
		return nil, nil
	}
	if n.id.Belongs() || n.id.Promised != f.Founder || f.ClusterID == "" {
		return nil, errorf("this node is not promised to that founder")
	}
	a, ok := f.of(n.id.Directory)
	if !ok {
		return nil, errorf("this node is not among those that were founded")
	}
	return nil, n.belongLocked(a, f.Nodes)
}

// of is what a node gets of a founding.
func (f *founding) of(directory kafka.UUID) (Admitted, bool) {
	for _, m := range f.Nodes {
		if m.Directory != directory {
			continue
		}
		a := Admitted{ClusterID: f.ClusterID, Node: m.Node, Members: f.Voters}
		for _, v := range f.Voters {
			a.Voter = a.Voter || v.Directory == directory
		}
		a.Founding = a.Voter
		return a, true
	}
	return Admitted{}, false
}

// admitted lets a node in, or gives one that was founded with the others what it has not heard (JOI-3).
func (n *Node) admitted(ctx context.Context, body []byte) ([]byte, error) {
	a, err := decode[Admission](body)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	id, admit := n.id, n.admit
	n.mu.Unlock()
	if !id.Belongs() && admit == nil {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "this node belongs to no cluster yet: try again")
	}
	if a.ClusterID != "" && id.Belongs() && a.ClusterID != id.ClusterID {
		return nil, errorf("this is cluster %s, not %s", id.ClusterID, a.ClusterID)
	}
	if id.Founding {
		f := founding{ClusterID: id.ClusterID, Voters: id.Members, Nodes: id.Nodes}
		if same, ok := f.of(a.Directory); ok {
			return encode(same), nil
		}
	}
	if admit == nil {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "this node is starting: try again")
	}
	answer, err := admit(ctx, a)
	if err != nil {
		return nil, err
	}
	return encode(answer), nil
}

// jitter is d give or take a half.
func jitter[D ~int64](d D) D { return d/2 + D(rand.Int64N(int64(d)+1)) }
