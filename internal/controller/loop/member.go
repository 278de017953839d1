package loop

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
)

// membership is this node as a broker of the cluster.
type membership struct {
	base     time.Time
	lease    atomic.Int64 // nanoseconds after base at which the lease ends
	epoch    atomic.Int64 // of the registration; -1: none yet
	inFlight atomic.Int32 // heartbeats
	failed   atomic.Int32 // heartbeats in a row
	left     atomic.Bool  // it has said that it ends
	reported atomic.Int64 // nanoseconds after base at which its loads were told last
	beatNow  chan struct{}

	mu           sync.Mutex // guards what follows; a leaf
	registration controller.Registration
	incarnation  kafka.UUID // of the registration that epoch is of
	registering  bool
	stopping     bool
}

func (m *membership) init(now time.Time) {
	m.base = now
	m.epoch.Store(-1)
	m.beatNow = make(chan struct{}, 1)
}

// wake has a heartbeat sent now.
func (m *membership) wake() {
	select {
	case m.beatNow <- struct{}{}:
	default:
	}
}

// will notes as what this node is to be registered.
func (m *membership) will(r controller.Registration) {
	m.mu.Lock()
	m.registration = r
	m.mu.Unlock()
}

// is notes that this node is registered as r.
func (m *membership) is(r controller.Registration, epoch int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// Said once. If somebody else has the id later, this process does not take it back.
	r.Replaces, r.EmptyDisk = false, false
	m.registration, m.incarnation = r, r.Broker.Incarnation
	m.epoch.Store(epoch)
}

// identity is as what this node is registered, and what it understands.
func (m *membership) identity() (kafka.UUID, int64, map[string]int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.incarnation, m.epoch.Load(), m.registration.Features
}

// Join makes this node a broker of a cluster. It loads what the store has, publishes the first image, follows, registers with the
// controller, and returns when the broker serves: its own image shows it unfenced, and it has a lease. What can be tried again is, until ctx
// ends. On a node that Start has started, it does what is left to do. Errors: those of the store, those of controller.RegisterBroker. When
// another process registers under this broker's id later, the loop ends and Err says so.
func (l *Loop) Join(ctx context.Context, r controller.Registration) error {
	if l.opts.Peers == nil || r.Broker.ID != l.opts.Node {
		return fmt.Errorf("broker %d cannot join a cluster from node %d: the loop was made for another node, or without peers", r.Broker.ID, l.opts.Node)
	}
	l.mu.Lock()
	started := l.running
	l.mu.Unlock()
	if !started {
		snapshot, revision, err := l.opts.Store.Load(ctx)
		if err != nil {
			return fmt.Errorf("load metadata: %w", err)
		}
		img, delta, err := snapshot.Image()
		if err != nil {
			return fmt.Errorf("load metadata: %w", err)
		}
		l.launch(revision, img, delta)
	}
	l.self.will(r)
	if err := l.register(ctx); err != nil {
		return fmt.Errorf("register broker %d: %w", r.Broker.ID, err)
	}
	serves := func() bool {
		own := l.Image().Brokers[l.opts.Node]
		return own != nil && !own.Fenced && own.Epoch == l.BrokerEpoch()
	}
	for {
		if err := l.until(ctx, serves); err != nil {
			return fmt.Errorf("broker %d is registered, and the controller has not let it serve yet: %w", r.Broker.ID, err)
		}
		if l.Lease() {
			return nil
		}
		if err := sleep(ctx, shortPause, nil); err != nil {
			return fmt.Errorf("broker %d is registered and has no lease from the controller yet: %w", r.Broker.ID, err)
		}
	}
}

// register registers this node with whoever decides, as often as it takes.
func (l *Loop) register(ctx context.Context) error {
	for try := 0; ; try++ {
		l.self.mu.Lock()
		r := l.self.registration
		l.self.mu.Unlock()
		answer, err := registerBroker.ask(ctx, l, r)
		if err == nil {
			err = answer.Err.error
		}
		if err == nil {
			l.self.is(r, answer.Epoch)
			l.self.wake()
			return nil
		}
		switch kafka.CodeOf(err) {
		case kafka.NotController, kafka.RequestTimedOut, kafka.NetworkException, kafka.BrokerNotAvailable, kafka.KafkaStorageError:
		case kafka.DuplicateBrokerRegistration: // the process before this one, until its lease ends
		default:
			return err
		}
		if try == 0 {
			l.opts.Logger.Info("this broker is not registered yet and tries again", "broker", l.opts.Node, "because", err)
		}
		if l.ctx.Err() != nil || sleep(ctx, backOff(try), nil) != nil {
			return err
		}
	}
}

// stopPatience is how long a broker that stops waits for an answer of the controller. Where nobody decides any more, as when all are stopped one
// after the other, nobody takes over either.
const stopPatience = 1500 * time.Millisecond

// Stop prepares that this broker leaves: the controller gives it nothing new, and moves to others what it leads, until nothing is left that
// could be moved; then it fences the broker, so that the process after this one is let in at once. It ends with an error when ctx does. What
// nobody else has is served until then. Without others there is nothing to do.
func (l *Loop) Stop(ctx context.Context) error {
	if l.opts.Peers == nil || len(l.Image().Brokers) < 2 {
		return nil
	}
	l.self.mu.Lock()
	l.self.stopping = true
	l.self.mu.Unlock()
	for try := 0; ; try++ {
		soon, cancel := context.WithTimeout(ctx, stopPatience)
		answer, err := stopBroker.ask(soon, l, leave{ID: l.opts.Node, Epoch: l.BrokerEpoch()})
		silent := soon.Err() != nil
		cancel()
		if err == nil && answer.Done {
			break
		}
		if l.ctx.Err() != nil || err != nil && silent {
			return fmt.Errorf("broker %d stops without handing over: %w", l.opts.Node, err)
		}
		if sleep(ctx, backOff(try), nil) != nil {
			if err == nil {
				err = ctx.Err()
			}
			return fmt.Errorf("broker %d stops before all that it leads was handed over: %w", l.opts.Node, err)
		}
	}
	l.self.left.Store(true) // before the others may lead what it led
	if _, err := leaveCluster.ask(ctx, l, leave{ID: l.opts.Node, Epoch: l.BrokerEpoch()}); err != nil {
		return fmt.Errorf("broker %d has handed over all that it led, and could not say that it ends: %w", l.opts.Node, err)
	}
	return nil
}

// BrokerEpoch is the epoch of this broker's registration, which rises with each; -1: not registered yet.
func (l *Loop) BrokerEpoch() int64 { return l.self.epoch.Load() }

// Lease reports whether the controller certainly still believes in this broker, so that nobody else leads what it leads. It is true
// without others.
func (l *Loop) Lease() bool {
	if l.opts.Peers == nil {
		return true
	}
	// A second broker is registered by a controller on a node of this image's store, and that is this node while there is no other.
	if img := l.Image(); len(img.Brokers) == 1 && img.Brokers[l.opts.Node] != nil {
		return true
	}
	return !l.self.left.Load() && l.opts.Now().Sub(l.self.base) < time.Duration(l.self.lease.Load())
}
