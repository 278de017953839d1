package loop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

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
)

// Options of a Loop.
type Options struct {
	// Store is open and stays the caller's to close, after Close.
	Store quorum.Store
	// Env is what decisions depend on.
	Env controller.Env
	// Publishers are told of each new image, in this order.
	Publishers []metadata.Publisher
}

// Loop is the controller of a node and the source of its images.
type Loop struct {
	opts   Options
	image  atomic.Pointer[metadata.Image]
	queue  chan *request
	ctx    context.Context // ends when Close begins or one of the goroutines has failed
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // the two goroutines

	// mu guards what follows. Held for memory work only.
	mu       sync.Mutex
	revision quorum.Revision // of image, with every publisher told
	moved    chan struct{}   // closed and replaced when revision rises
	running  bool
}

// New returns a Loop whose image is empty until Start.
func New(o Options) *Loop {
	l := &Loop{opts: o, queue: make(chan *request, maxQueued), moved: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	l.image.Store(metadata.Empty())
	return l
}

// Image is the metadata of this moment. A request asks once (MET-1).
func (l *Loop) Image() *metadata.Image { return l.image.Load() }

// Start loads what the store has, registers this node, publishes the first image and starts the two goroutines. When it returns, the
// node knows everything that was ever acknowledged and requests may come. Errors: controller.ErrForeignData, those of the store.
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
	l.publish(revision, img, delta)
	l.mu.Lock()
	l.running = true
	l.mu.Unlock()
	l.wg.Go(func() { l.stop(l.follow(revision, img)) })
	l.wg.Go(func() { l.stop(l.decide()) })
	return nil
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

var errClosed = errors.New("the controller is stopping")

// Close refuses new requests, answers those that wait with an error and returns when both goroutines have ended.
func (l *Loop) Close() {
	l.cancel(errClosed)
	l.wg.Wait()
}

func (l *Loop) stop(err error) {
	if err != nil {
		l.cancel(err)
	}
}

// follow makes images of batches until the loop ends. A batch that does not fold ends the node (MET-3).
func (l *Loop) follow(after quorum.Revision, img *metadata.Image) error {
	err := l.opts.Store.Follow(l.ctx, after, func(b quorum.Batch) error {
		next, delta, err := metadata.Fold(img, b.Records)
		if err != nil {
			return err
		}
		img = next
		l.publish(b.Revision, img, delta)
		return nil
	})
	if l.ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow metadata: %w", err)
}

// publish makes img the image and tells the publishers. The image comes first: a publisher that starts to serve a partition must not
// be asked about it by somebody who does not see it yet.
func (l *Loop) publish(revision quorum.Revision, img *metadata.Image, delta *metadata.Delta) {
	l.image.Store(img)
	for _, p := range l.opts.Publishers {
		p.Apply(img, delta)
	}
	l.mu.Lock()
	l.revision = revision
	close(l.moved)
	l.moved = make(chan struct{})
	l.mu.Unlock()
}

// await returns once the image has a revision and every publisher was told.
func (l *Loop) await(revision quorum.Revision) error {
	for {
		l.mu.Lock()
		at, moved := l.revision, l.moved
		l.mu.Unlock()
		if at >= revision {
			return nil
		}
		select {
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		case <-moved:
		}
	}
}

// explain gives a store's error the code that a client acts on: try again here, or look for the controller.
func explain(err error) error {
	if err == nil || kafka.CodeOf(err) != kafka.UnknownServerError {
		return err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return kafka.Errorf(kafka.RequestTimedOut, "the change was not confirmed in time; look whether it has happened before trying again: %w", err)
	case errors.Is(err, quorum.ErrStaleTerm), errors.Is(err, quorum.ErrGuard), errors.Is(err, quorum.ErrClosed), errors.Is(err, errClosed):
		return kafka.Errorf(kafka.NotController, "this broker does not decide at present; try again: %w", err)
	case errors.Is(err, quorum.ErrTooLarge):
		return kafka.Errorf(kafka.PolicyViolation, "the request asks for too much at a time; split it: %w", err)
	case errors.Is(err, metadata.ErrConflict), errors.Is(err, metadata.ErrUnknownRecord):
		return err
	}
	return kafka.Errorf(kafka.KafkaStorageError, "the metadata could not be stored: %w", err)
}
