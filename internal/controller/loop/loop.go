package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// maxQueued bounds the requests that wait to be decided; one more waits in its caller.
	maxQueued = 256
	// maxGroupBytes ends a group of requests that are committed together; half of what a commit may hold, so that one request of
	// ordinary size always fits behind it.
	maxGroupBytes = quorum.MaxBatchBytes / 2
	// DefaultLease is how long the controller believes in a broker after a heartbeat (rafka.broker.lease.ms).
	DefaultLease = 1900 * time.Millisecond
)

// Options of a Loop.
type Options struct {
	// Store is open and stays the caller's to close, after Close.
	Store quorum.Store
	// Env is what decisions depend on.
	Env controller.Env
	// Publishers are told of each new image, in this order.
	Publishers []metadata.Publisher

	// What follows is for a node of a cluster.

	// Peers reach the other brokers; nil: there are none and never will be.
	Peers Peers
	// Node is the id of this node's broker; needed with Peers.
	Node kafka.BrokerID
	// Lease is how long the controller believes in a broker after a heartbeat; the same on all nodes. 0: DefaultLease.
	Lease time.Duration
	// HeartbeatInterval lies between two heartbeats; 0: a twentieth of Lease.
	HeartbeatInterval time.Duration
	// Loads are the busiest partitions that this node leads; it is asked every few seconds. nil: leaders and replicas are spread by their number only.
	Loads func() []controller.Load
	// Now is a clock whose readings have a monotonic part; nil: time.Now.
	Now func() time.Time
	// Logger is told of brokers that come and go and of changes of the controller; nil: slog.Default().
	Logger *slog.Logger
}

// Peers calls other brokers: peer.Peers.
type Peers interface {
	// Call calls a method of a broker. Errors are *kafka.Error: those of the method, kafka.BrokerNotAvailable when nothing was sent,
	// kafka.NetworkException when it is unknown what came of it.
	Call(ctx context.Context, to kafka.BrokerID, method string, body []byte) ([]byte, error)
	// Probe returns nil if the broker's process answers, and an error with syscall.ECONNREFUSED in its chain if there is none.
	Probe(ctx context.Context, to kafka.BrokerID) error
}

// Loop is the controller of a node and the source of its images.
type Loop struct {
	opts   Options
	image  atomic.Pointer[metadata.Image]
	queue  chan *request
	turn   chan struct{}   // tells the deciding goroutine that the leadership changed
	ctx    context.Context // ends when Close begins or one of the goroutines has failed
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // all goroutines

	self   membership // this node as a broker of the cluster
	leases leases     // of all brokers; used while this node decides
	keeper keeper     // of the leases

	// mu guards what follows. Held for memory work only.
	mu       sync.Mutex
	revision quorum.Revision // of image, with every publisher told
	offset   metadata.Offset // the same
	moved    chan struct{}   // closed and replaced when they rise
	running  bool
	closed   bool
	reign    reign
	calls    map[*call]struct{} // to the controller, under way
	stop     func()             // ends the watch of the leadership
}

// New returns a Loop whose image is empty until Start or Join.
func New(o Options) *Loop {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.HeartbeatInterval <= 0 {
		o.HeartbeatInterval = o.Lease / 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	l := &Loop{
		opts: o, queue: make(chan *request, maxQueued), turn: make(chan struct{}, 1), moved: make(chan struct{}),
		calls: map[*call]struct{}{}, stop: func() {},
	}
	if o.Peers != nil {
		l.opts.Env.Supports = l.leases.supports
	}
	l.reign.changed = make(chan struct{})
	l.self.init(o.Now())
	l.keeper.init()
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.image.Store(metadata.Empty())
	return l
}

// Image is the metadata of this moment. A request asks once (MET-1).
func (l *Loop) Image() *metadata.Image { return l.image.Load() }

// Start loads what the store has, registers this node, publishes the first image and starts the goroutines of a cluster of one. When
// it returns, the node knows everything that was ever acknowledged and requests may come. With Peers others may join later, and this
// node is then a member as they are. Errors: controller.ErrForeignData, those of the store.
func (l *Loop) Start(ctx context.Context, n controller.Node) error {
	snapshot, revision, err := l.opts.Store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load metadata: %w", err)
	}
	img, delta, err := snapshot.Image()
	if err != nil {
		return fmt.Errorf("load metadata: %w", err)
	}
	records, err := controller.Bootstrap(img, n)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		guard := []quorum.Guard{{Head: revision}}
		if revision, err = l.opts.Store.Commit(ctx, l.opts.Store.Leadership().Term, guard, records); err != nil {
			return fmt.Errorf("register broker %d: %w", n.Broker.ID, err)
		}
		// Folded from nothing once more, so that the publishers' first delta has everything in it.
		if img, delta, err = metadata.Fold(metadata.Empty(), append(snapshot.Records, records...)); err != nil {
			return fmt.Errorf("register broker %d: %w", n.Broker.ID, err)
		}
		img.Offset = snapshot.Offset + metadata.Offset(len(records))
		delta.To = img.Offset
	}
	l.self.is(controller.Registration{Broker: n.Broker, ClusterID: img.ClusterID}, img.Brokers[n.Broker.ID].Epoch)
	l.launch(revision, img, delta)
	return nil
}

// launch publishes the first image and starts the goroutines that every node has.
func (l *Loop) launch(revision quorum.Revision, img *metadata.Image, delta *metadata.Delta) {
	l.publish(revision, img, delta)
	l.mu.Lock()
	l.running = true
	l.mu.Unlock()
	l.spawn(func() { l.fail(l.follow(revision, img)) })
	l.spawn(l.decide)
	if l.opts.Peers == nil {
		return
	}
	l.spawn(l.keep)
	l.spawn(l.beat)
	stop := l.opts.Store.Watch(l.led)
	l.mu.Lock()
	l.stop = stop
	closed := l.closed
	l.mu.Unlock()
	if closed {
		stop()
	}
}

// Done is closed when the loop no longer works: after Close, or because of an error after which the node must stop; see Err.
func (l *Loop) Done() <-chan struct{} { return l.ctx.Done() }

// Err says why the loop stopped; nil while it works and after Close.
func (l *Loop) Err() error {
	if err := context.Cause(l.ctx); err != nil && !errors.Is(err, errClosed) {
		return err
	}
	return nil
}

// Close refuses new requests, answers those that wait with an error and returns when all goroutines have ended. A broker of a cluster
// that is to leave without a gap calls Stop first.
func (l *Loop) Close() {
	l.cancel(errClosed)
	l.mu.Lock()
	l.closed = true
	stop := l.stop
	l.mu.Unlock()
	stop()
	l.wg.Wait()
}

func (l *Loop) fail(err error) {
	if err != nil {
		l.cancel(err)
	}
}

// spawn runs f on a goroutine of the loop, unless it is closing.
func (l *Loop) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.running {
		return false
	}
	l.wg.Go(f)
	return true
}
