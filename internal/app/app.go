package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/broker/route"
	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/cluster/lanes"
	"github.com/rafka-io/rafka/internal/cluster/mesh"
	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/controller/loop"
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/queue"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/server/grpcsrv"
	"github.com/rafka-io/rafka/internal/server/httpsrv"
	"github.com/rafka-io/rafka/internal/server/kafkasrv"
	"github.com/rafka-io/rafka/internal/server/listen"
	"github.com/rafka-io/rafka/internal/server/textsrv"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/txnmarker"
	"github.com/rafka-io/rafka/internal/vfs"
)

// App is a running broker.
type App struct {
	opts  Options
	node  kafka.BrokerID
	addrs Addrs

	// Of a broker that others can reach; nil without a peer address.
	peerListener net.Listener
	peerAddr     string // that others are told
	peers        *peer.Peers
	lanes        *lanes.Lanes // requests of Kafka's protocol to them, which wait for each other's answers
	route        *route.Verbs // the verbs for doors whose clients do not look for leaders
	peerServer   *peer.Server
	member       *join.Node
	voter        atomic.Pointer[quorum.Cluster] // the one of this node, once it has one
	deciding     atomic.Pointer[loop.Loop]      // loop, for who may ask before there is one
	mesh         atomic.Pointer[mesh.Mesh]      // nil: no gossip
	seat         atomic.Pointer[quorum.Switch]  // the store, which goes over when this broker gets a vote or loses it; nil: none others reach
	growing      sync.Mutex                     // one at a time makes a cluster of a broker that was alone, or a voter of it

	running     context.Context // of what goes on in the background; stopRunning ends it
	stopRunning context.CancelFunc

	store         quorum.Store
	engine        storage.Engine
	replicas      *replica.Manager
	groups        *coordinator.Runtime[*group.Shard]
	txns          *coordinator.Runtime[*txn.Shard]
	markers       *txnmarker.Sender
	shares        *coordinator.Runtime[*share.Shard]
	queues        *queue.Manager
	states        queue.Persister // of share groups, wherever they are kept
	streamsTopics *broker.StreamsTopics
	loop          *loop.Loop
	broker        *broker.Broker
	kafka         *kafkasrv.Server
	text          *textsrv.Server
	grpc          *grpcsrv.Server
	http          *httpsrv.Server
	listen        *listen.Server

	ready   atomic.Bool
	serving sync.WaitGroup // the gRPC and HTTP accept loops
	closers []closer       // what was started, in order (APP-1)
}

// closer ends a component. A stop runs them in reverse.
type closer struct {
	name  string
	close func(context.Context) error
}

// Start opens everything and returns when the broker serves. On an error nothing is left running.
func Start(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{opts: o, node: kafka.BrokerID(o.Static.NodeID())}
	a.running, a.stopRunning = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Shutdown(context.Background()))
		}
	}()
	bound, err := a.bind(ctx)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{a.openPeers, a.openMetadata, a.openEngine, a.openBroker} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	a.onStop("controller", func(context.Context) error { a.loop.Close(); return nil })
	if a.member == nil {
		err = a.loop.Start(ctx, a.self())
	} else {
		err = a.loop.Join(ctx, a.registration())
	}
	if err != nil {
		return nil, err
	}
	if a.member != nil {
		if err := a.member.Registered(); err != nil {
			return nil, err
		}
		a.keepSeats()
	}
	a.replicas.Start()
	a.serve(bound)
	a.ready.Store(true)
	a.gossip(ctx)
	if a.member != nil { // while everything still serves, so that clients find the new leaders at once
		a.onStop("leaderships", func(ctx context.Context) error { a.handOver(ctx); return nil })
	}
	return a, nil
}

func (a *App) onStop(name string, fn func(context.Context) error) {
	a.closers = append(a.closers, closer{name, fn})
}

// metadataDir is where the metadata store is kept.
func (a *App) metadataDir() string {
	if dir := a.opts.Static.String("metadata.log.dir"); dir != "" {
		return dir
	}
	return a.opts.Static.LogDirs()[0]
}

func (a *App) openStore(context.Context) error {
	o := quorum.Options{Node: a.node}
	if !a.opts.Ephemeral {
		o.FS, o.Dir = vfs.OS(), filepath.Join(a.metadataDir(), "metadata")
	}
	store, err := quorum.Open(o)
	if err != nil {
		return err
	}
	a.store = store
	a.onStop("metadata store", func(context.Context) error { return store.Close() })
	return nil
}

func (a *App) openEngine(context.Context) error {
	engine, err := openEngine(a.opts)
	if err != nil {
		return err
	}
	a.engine = engine
	a.onStop("storage", func(context.Context) error { return engine.Close() })
	return nil
}

// openBroker makes the partitions, the controller and the verbs over them. Partitions come with the controller's first image.
func (a *App) openBroker(context.Context) error {
	st := a.opts.Static
	set := broker.Settings{Node: a.node, Static: st}
	expiry := st.Duration("producer.id.expiration.ms")
	var err error
	options := replica.Options{
		NodeID: a.node, Engine: a.engine,
		Settings: func(img *metadata.Image, topic string) *partition.Settings {
			t := set.Topic(img, topic)
			return replica.TopicSettings(&t, expiry)
		},
		ThrottledRates: set.ThrottledRates, CleanerBackoff: set.CleanerBackoff, NoCleaner: !st.Bool("log.cleaner.enable"),
		RetentionInterval: st.Duration("log.retention.check.interval.ms"), Logger: a.opts.Logger,
	}
	if !a.opts.Ephemeral && st.String("rafka.storage.engine") != "memlog" { // which has no files of logs to read
		options.ScrubRate, options.ScrubInterval = st.Int("rafka.scrub.bytes.per.second"), st.Duration("rafka.scrub.interval.ms")
	}
	options.Useless = func(err error) { a.loop.Fail(err) }
	a.replication(&options, st)
	if a.replicas, err = replica.New(options); err != nil {
		return err
	}
	a.onStop("partitions", a.replicas.Close)
	groups := broker.NewGroupSettings(set)
	markers := a.openCoordinators(groups)
	deciding := loop.Options{
		Store: a.store, Node: a.node, Lease: st.Duration("rafka.broker.lease.ms"), Logger: a.opts.Logger,
		Env: controller.Env{
			Partitions: int32(st.Int("num.partitions")), Replication: int16(st.Int("default.replication.factor")),
			DeleteTopics: st.Bool("delete.topic.enable"), NewTopicID: kafka.NewUUID, Inherited: set.Inherited,
			MinISR:  func(img *metadata.Image, topic string) int { t := set.Topic(img, topic); return t.MinISR },
			Unclean: func(img *metadata.Image, topic string) bool { t := set.Topic(img, topic); return t.Unclean },
		},
		Publishers: []metadata.Publisher{a.replicas, a.groups, a.txns, a.shares},
	}
	if a.peers != nil {
		deciding.Peers, deciding.Loads = a.peers, a.loads
	}
	a.loop = loop.New(deciding)
	a.deciding.Store(a.loop)
	transactions := broker.TransactionsOf(a.txns)
	if a.peers != nil {
		all := broker.NewTransactions(broker.TransactionsOptions{NodeID: a.node, Shards: a.txns, Image: a.image, Peers: a.lanes})
		a.onStop("questions about transactions", func(context.Context) error { all.Close(); return nil })
		transactions = all
	}
	var keepers broker.Quorum
	if a.peers != nil {
		keepers = voters{a}
	}
	a.broker = broker.New(broker.Options{
		AdminOptions: broker.AdminOptions{Quorum: keepers, NodeID: a.node, Controller: a.loop, Settings: set, LogLevel: a.opts.Level},
		GroupOptions: broker.GroupOptions{Groups: a.groups, GroupSettings: groups}, TxnOptions: broker.TxnOptions{Txns: a.txns, Markers: markers},
		ShareStates: a.shares, Queues: a.queues,
		Transactions: transactions, TrustTransactions: func() bool { return !st.Bool("transaction.partition.verification.enable") },
		Replicas: a.replicas, FetchMaxBytes: int(st.Int("fetch.max.bytes")), FetchBytes: st.Int("rafka.log.hot.bytes") / 2,
	})
	a.elsewhere(a.states)
	return nil
}

// self is this node as the metadata has it.
func (a *App) self() controller.Node {
	st := a.opts.Static
	b := metadata.Broker{ID: a.node, Rack: st.String("broker.rack")}
	for _, l := range st.Advertised() {
		if !l.Controller {
			b.Endpoints = append(b.Endpoints, metadata.Endpoint{Listener: l.Name, Host: l.Host, Port: int32(l.Port)})
		}
	}
	return controller.Node{Broker: b, ClusterID: st.String("rafka.cluster.id"), NewClusterID: kafka.NewUUID().String()}
}

// registration is this node as its cluster is to know it: with addresses that others can use.
func (a *App) registration() controller.Registration {
	n := a.self()
	id := a.member.Identity()
	n.Broker.Incarnation, n.Broker.Peers = kafka.NewUUID(), []string{a.peerAddr}
	host, _, _ := net.SplitHostPort(a.peerAddr)
	for _, l := range a.addrs.Kafka {
		if !slices.ContainsFunc(n.Broker.Endpoints, func(e metadata.Endpoint) bool { return e.Listener == l.Name }) {
			at := l.Addr.(*net.TCPAddr)
			e := metadata.Endpoint{Listener: l.Name, Host: at.IP.String(), Port: int32(at.Port)}
			if at.IP.IsUnspecified() {
				e.Host = host
			}
			n.Broker.Endpoints = append(n.Broker.Endpoints, e)
		}
	}
	r := controller.Registration{
		Broker: n.Broker, ClusterID: id.ClusterID, Features: metadata.SupportedFeatures(),
		Replaces:  true, // the id belongs to this data directory, which this process holds the lock of
		EmptyDisk: id.EmptyDisk,
	}
	if r.ClusterID == "" { // alone, and perhaps new
		if r.ClusterID = n.ClusterID; r.ClusterID == "" {
			r.ClusterID = n.NewClusterID
		}
	}
	return r
}

// handOver has the controller give this broker's leaderships to others before it stops.
func (a *App) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOverPatience)
	defer cancel()
	if err := a.loop.Stop(ctx); err != nil {
		a.opts.Logger.Warn("stopping without having handed over everything that is led here", "err", err)
		return
	}
	for id, b := range a.loop.Image().Brokers {
		if id == a.node || b.Fenced {
			continue
		}
		select {
		case <-time.After(farewell):
		case <-ctx.Done():
		}
		return
	}
}

// listening are the settings by which this node, started again, listens where it does now.
func (a *App) listening() map[string]string {
	st := a.opts.Static
	settings := map[string]string{"rafka.peer.address": a.peerListener.Addr().String()}
	var kafkas []string
	for _, l := range a.addrs.Kafka {
		kafkas = append(kafkas, l.Name+"://"+l.Addr.String())
	}
	settings["listeners"] = strings.Join(kafkas, ",")
	for key, at := range map[string]net.Addr{"rafka.grpc.address": a.addrs.GRPC, "rafka.http.address": a.addrs.HTTP} {
		if settings[key] = ""; at != nil {
			settings[key] = at.String()
		}
	}
	for _, key := range []string{"advertised.listeners", "rafka.peer.advertised.address", "rafka.metadata", "listener.security.protocol.map", "controller.listener.names"} {
		if v, _, ok := st.Set(key); ok {
			settings[key] = v
		}
	}
	return settings
}

// Addrs are where the doors accept.
func (a *App) Addrs() Addrs { return a.addrs }

// Broker is the verbs, for who embeds the broker.
func (a *App) Broker() *broker.Broker { return a.broker }

// Done is closed when the broker can no longer work; Err says why.
func (a *App) Done() <-chan struct{} { return a.loop.Done() }

// Err is why the broker stopped by itself, or nil.
func (a *App) Err() error { return a.loop.Err() }

// DataDirs are the directories in use; nil for an ephemeral broker.
func (a *App) DataDirs() []string {
	if a.opts.Ephemeral {
		return nil
	}
	return a.opts.Static.LogDirs()
}

// Shutdown stops the broker (APP-3). When ctx ends, connections are cut off; what is stored is closed cleanly all the same.
func (a *App) Shutdown(ctx context.Context) error {
	a.ready.Store(false)
	a.stopRunning()
	var errs []error
	for _, c := range slices.Backward(a.closers) {
		t0 := time.Now()
		if err := c.close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
		}
		a.opts.Logger.Debug("closed", "component", c.name, "took", time.Since(t0))
	}
	a.closers = nil
	a.serving.Wait()
	return errors.Join(errs...)
}

// hostOf is an address without its port.
func hostOf(addr net.Addr) string {
	if host, _, err := net.SplitHostPort(addr.String()); err == nil {
		return host
	}
	return addr.String()
}
