package quorum

import (
	"context"
	"errors"
	"fmt"
)

// Cluster is the store in use; nil while that is a Local.
func (s *Switch) Cluster() *Cluster {
	c, _ := s.store().(*Cluster)
	return c
}

// Replace goes over from the Cluster in use to another one of the same cluster, as soon as that has loaded the metadata, and closes the
// one before: this node got a vote, or lost it. Commits under way may end with ErrOutcomeUnknown. When it returns an error next is closed
// and the one before is in use as it was.
func (s *Switch) Replace(ctx context.Context, next *Cluster) error {
	if err := next.Ready(ctx); err != nil {
		return errors.Join(fmt.Errorf("go over to another store: %w", err), next.Close())
	}
	unwatch := next.Watch(func(Leadership) { s.tell(next) })
	s.mu.Lock()
	old, ok := s.now.(*Cluster)
	if !ok || s.closed || s.moving != nil {
		s.mu.Unlock()
		unwatch()
		return errors.Join(fmt.Errorf("go over to another store: %w", ErrClosed), next.Close())
	}
	stop := s.unwatch
	s.now, s.unwatch = next, unwatch
	s.notifyLocked()
	s.mu.Unlock()
	stop()
	_ = old.Close() // nothing was promised by a client, or by a voter that the others have removed
	s.tell(next)
	return nil
}

// another reports whether a store that answered err was left for another one. One that lost its vote is waited for to be: who took the
// vote's place is being connected to.
func (s *Switch) another(ctx context.Context, was Store, err error) bool {
	ended, removed := errors.Is(err, ErrClosed), errors.Is(err, ErrRemoved)
	if !ended && !removed {
		return false
	}
	for {
		s.mu.Lock()
		now, closed, moved := s.now, s.closed, s.moved
		s.mu.Unlock()
		if now != was || closed || !removed {
			return now != was
		}
		select {
		case <-ctx.Done():
			return false
		case <-moved:
		}
	}
}
