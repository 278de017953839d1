package loop

import (
	"context"
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/metadata"
)

// follow makes images of batches until the loop ends. A batch that does not fold ends the node (MET-3).
func (l *Loop) follow(after quorum.Revision, img *metadata.Image) error {
	for {
		err := l.opts.Store.Follow(l.ctx, after, func(b quorum.Batch) error {
			next, delta, err := metadata.Fold(img, b.Records)
			if err != nil {
				return err
			}
			img, after = next, b.Revision
			l.publish(b.Revision, img, delta)
			return nil
		})
		if l.ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, quorum.ErrTooFarBehind) {
			return fmt.Errorf("follow metadata: %w", err)
		}
		next, revision, err := l.reload(img)
		if l.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("load metadata again, because the batches after revision %d are no longer kept: %w", after, err)
		}
		l.publish(revision, next, metadata.Between(img, next))
		img, after = next, revision
	}
}

// reload loads a snapshot in place of the batches that are gone. A store that cannot be reached is tried again until the loop ends.
func (l *Loop) reload(img *metadata.Image) (*metadata.Image, quorum.Revision, error) {
	for try := 0; ; try++ {
		snapshot, revision, err := l.opts.Store.Load(l.ctx)
		if err != nil {
			if final(err) {
				return nil, 0, err
			}
			l.opts.Logger.Warn("the metadata could not be loaded and is tried again", "err", err)
			if err := sleep(l.ctx, backOff(try), nil); err != nil {
				return nil, 0, err
			}
			continue
		}
		next, _, err := snapshot.Image()
		if err != nil {
			return nil, 0, err
		}
		if next.Offset < img.Offset {
			return nil, 0, fmt.Errorf("the store has %d records, this node has seen %d: it was restored from a backup or belongs to another cluster", next.Offset, img.Offset)
		}
		return next, revision, nil
	}
}

// final reports whether trying again cannot help.
func final(err error) bool {
	for _, e := range []error{quorum.ErrClosed, quorum.ErrFailed, quorum.ErrDamaged, metadata.ErrConflict, metadata.ErrUnknownRecord} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// publish makes img the image and tells the publishers. The image comes first: a publisher that starts to serve a partition must not
// be asked about it by somebody who does not see it yet.
func (l *Loop) publish(revision quorum.Revision, img *metadata.Image, delta *metadata.Delta) {
	before := l.image.Swap(img)
	for _, p := range l.opts.Publishers {
		p.Apply(img, delta)
	}
	l.mu.Lock()
	l.revision, l.offset = revision, img.Offset
	close(l.moved)
	l.moved = make(chan struct{})
	if before.Controller != img.Controller {
		l.supersedeLocked(img.Controller)
		if l.reign.decides && img.Controller != l.opts.Node {
			// Deposed, and the store will say so; or the claim of an earlier term came late, and is to be claimed over.
			l.resignLocked()
			l.turned()
		}
		l.changedLocked()
	}
	l.mu.Unlock()
	if l.opts.Peers != nil && len(delta.Brokers) > 0 {
		l.keeper.cameOrWent()
		if own := img.Brokers[l.opts.Node]; own != nil && own != before.Brokers[l.opts.Node] {
			l.self.wake() // so that the lease begins with the registration
		}
	}
}

// await returns once the image has a revision and every publisher was told.
func (l *Loop) await(ctx context.Context, revision quorum.Revision) error {
	return l.until(ctx, func() bool { return l.revision >= revision })
}

// awaitOffset returns once the image has an offset and every publisher was told.
func (l *Loop) awaitOffset(ctx context.Context, offset metadata.Offset) error {
	return l.until(ctx, func() bool { return l.offset >= offset })
}

// until returns once something holds that is looked at with mu and may change with the image.
func (l *Loop) until(ctx context.Context, holds func() bool) error {
	for {
		l.mu.Lock()
		ok, moved := holds(), l.moved
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// at is how far the image is that every publisher was told of.
func (l *Loop) at() metadata.Offset {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.offset
}
