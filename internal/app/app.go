package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
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

	store         quorum.Store
	engine        storage.Engine
	replicas      *replica.Manager
	groups        *coordinator.Runtime[*group.Shard]
	txns          *coordinator.Runtime[*txn.Shard]
	markers       *txnmarker.Sender
	shares        *coordinator.Runtime[*share.Shard]
	queues        *queue.Manager
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
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Shutdown(context.Background()))
		}
	}()
	bound, err := a.bind(ctx)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{a.openStore, a.openEngine, a.openBroker} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if err := a.loop.Start(ctx, a.self()); err != nil {
		return nil, err
	}
	a.onStop("controller", func(context.Context) error { a.loop.Close(); return nil })
	a.replicas.Start()
	a.serve(bound)
	a.ready.Store(true)
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
	a.replicas, err = replica.New(replica.Options{
		NodeID: a.node, Engine: a.engine,
		Settings: func(img *metadata.Image, topic string) *partition.Settings {
			t := set.Topic(img, topic)
			return replica.TopicSettings(&t, expiry)
		},
		CleanerBackoff: set.CleanerBackoff, NoCleaner: !st.Bool("log.cleaner.enable"),
		RetentionInterval: st.Duration("log.retention.check.interval.ms"), Logger: a.opts.Logger,
	})
	if err != nil {
		return err
	}
	a.onStop("partitions", a.replicas.Close)
	groups := broker.NewGroupSettings(set)
	markers := a.openCoordinators(groups)
	a.loop = loop.New(loop.Options{
		Store: a.store,
		Env: controller.Env{
			Partitions: int32(st.Int("num.partitions")), Replication: int16(st.Int("default.replication.factor")),
			DeleteTopics: st.Bool("delete.topic.enable"), NewTopicID: kafka.NewUUID, Inherited: set.Inherited,
		},
		Publishers: []metadata.Publisher{a.replicas, a.groups, a.txns, a.shares},
	})
	a.broker = broker.New(broker.Options{
		AdminOptions: broker.AdminOptions{NodeID: a.node, Controller: a.loop, Settings: set, LogLevel: a.opts.Level},
		GroupOptions: broker.GroupOptions{Groups: a.groups, GroupSettings: groups}, TxnOptions: broker.TxnOptions{Txns: a.txns, Markers: markers},
		ShareStates: a.shares, Queues: a.queues,
		Transactions: broker.TransactionsOf(a.txns), TrustTransactions: func() bool { return !st.Bool("transaction.partition.verification.enable") },
		Replicas: a.replicas, FetchMaxBytes: int(st.Int("fetch.max.bytes")), FetchBytes: st.Int("rafka.log.hot.bytes") / 2,
	})
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
