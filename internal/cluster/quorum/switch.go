package quorum

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Switch is a Store that goes over to another one while it is used: from a Local to a Cluster when a node that was alone is joined by another,
// from a client to a voter when a broker gets a vote, and back when its vote is taken. Revisions go on, so followers see every batch once;
// the term is another one, so what was decided before fails with ErrStaleTerm.
type Switch struct {
	telling sync.Mutex // held while watchers are told, so that they hear of changes in their order; before mu

	mu        sync.Mutex
	now       Store
	moving    chan struct{} // closed when the move that is under way is over; nil: none
	commits   int           // under way in now
	idle      chan struct{} // closed when commits falls to 0 while somebody moves
	failed    error         // after a move that nobody can say the outcome of
	closed    bool
	followers map[*follower]struct{}
	moved     chan struct{} // closed and replaced when a follower or now moves
	watchers  map[*watcher]struct{}
	unwatch   func() // ends the Watch of now
}

// NewSwitch returns a Store over local, which is its own from then on.
func NewSwitch(local *Local) *Switch {
	s := &Switch{now: local, followers: map[*follower]struct{}{}, moved: make(chan struct{}), watchers: map[*watcher]struct{}{}}
	s.unwatch = local.Watch(func(Leadership) { s.tell(local) })
	return s
}

// NewSwitchOf returns a Store over a Cluster, which is its own from then on.
func NewSwitchOf(c *Cluster) *Switch {
	s := &Switch{now: c, followers: map[*follower]struct{}{}, moved: make(chan struct{}), watchers: map[*watcher]struct{}{}}
	s.unwatch = c.Watch(func(Leadership) { s.tell(c) })
	return s
}

// To goes over to the Cluster that start makes: StartNew with this node as the only member, no more. Commits wait meanwhile and then fail
// with ErrStaleTerm; those under way are finished first. To imports the metadata, if start has not done so, and closes the Local, whose
// file is void from then on: Exists tells a later start so.
//
// When it returns an error the Local goes on as before, and the cluster, if start made one, is closed. Only ErrFailed leaves open what
// the disk says: then all commits are refused until a restart has looked.
func (s *Switch) To(ctx context.Context, start func(metadata.Snapshot, Revision) (*Cluster, error)) error {
	local, err := s.begin(ctx)
	if err != nil {
		return fmt.Errorf("go over to a cluster: %w", err)
	}
	cluster, err := s.move(ctx, local, start)
	if err != nil {
		err = fmt.Errorf("go over to a cluster: %w", err)
		s.end(nil, err)
		return err
	}
	cluster.inherit(&local.feed)
	s.end(cluster, nil)
	// Every batch is in the Cluster and the file is not read again, so an error while it is closed changes nothing for anybody.
	_ = local.Close()
	return nil
}

// begin stops commits and waits for those under way.
func (s *Switch) begin(ctx context.Context) (*Local, error) {
	s.mu.Lock()
	local, ok := s.now.(*Local)
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, ErrClosed
	case s.failed != nil:
		s.mu.Unlock()
		return nil, s.failed
	case !ok || s.moving != nil:
		s.mu.Unlock()
		return nil, errors.New("the metadata is in a cluster already, or on its way")
	}
	s.moving, s.idle = make(chan struct{}), make(chan struct{})
	idle := s.idle
	if s.commits == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	select {
	case <-idle:
		return local, nil
	case <-ctx.Done():
		s.end(nil, nil)
		return nil, ctx.Err()
	}
}

func (s *Switch) move(ctx context.Context, local *Local, start func(metadata.Snapshot, Revision) (*Cluster, error)) (*Cluster, error) {
	snapshot, r, err := local.Load(ctx)
	if err != nil {
		return nil, err
	}
	c, err := start(snapshot, r)
	if err == nil && !c.imported() {
		err = c.Import(ctx, snapshot, r)
	}
	if err == nil {
		return c, nil
	}
	if c != nil {
		counts := c.imported()
		err = errors.Join(err, c.Close())
		// Nobody has committed to it yet, so what was imported may be made void again.
		if counts {
			if undo := removeMarker(c.opts.Dir); undo != nil {
				err = fmt.Errorf("%w: %w: %w", err, undo, ErrFailed)
			}
		}
	}
	return nil, err
}

// end lets commits go on, in the cluster if there is one. An ErrFailed is remembered.
func (s *Switch) end(cluster *Cluster, err error) {
	var stop, unwatch func()
	if cluster != nil {
		unwatch = cluster.Watch(func(Leadership) { s.tell(cluster) })
	}
	s.mu.Lock()
	if errors.Is(err, ErrFailed) {
		s.failed = err
	}
	if cluster != nil {
		stop, s.now, s.unwatch = s.unwatch, cluster, unwatch
	}
	closed := s.closed
	close(s.moving)
	s.moving, s.idle = nil, nil
	s.notifyLocked()
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	s.tell(s.store())
	if cluster != nil && closed {
		_ = cluster.Close() // Close has ended the Local and did not know of it
	}
}

func (s *Switch) notifyLocked() {
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *Switch) store() Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Load implements Store.
func (s *Switch) Load(ctx context.Context) (metadata.Snapshot, Revision, error) {
	for {
		now := s.store()
		snapshot, r, err := now.Load(ctx)
		if err != nil && s.another(ctx, now, err) {
			continue
		}
		return snapshot, r, err
	}
}

// Follow implements Store. A store that has ended has given all it has; the next one goes on after that.
func (s *Switch) Follow(ctx context.Context, after Revision, fn func(Batch) error) error {
	f := &follower{at: after}
	s.mu.Lock()
	s.followers[f] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.followers, f)
		s.notifyLocked()
		s.mu.Unlock()
	}()
	for at := after; ; {
		now := s.store()
		err := now.Follow(ctx, at, func(b Batch) error {
			if err := fn(b); err != nil {
				return err
			}
			at = b.Revision
			s.mu.Lock()
			f.at = at
			s.notifyLocked()
			s.mu.Unlock()
			return nil
		})
		if !s.another(ctx, now, err) {
			return err
		}
		// A voter that has just begun may have less than what was given already.
		if c, ok := s.store().(*Cluster); ok {
			if err := c.until(ctx, func() bool { return c.head >= at }); err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrRemoved) {
				return err
			}
		}
	}
}

// Commit implements Store.
func (s *Switch) Commit(ctx context.Context, term Term, guards []Guard, records []metadata.Record) (Revision, error) {
	now, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	r, err := now.Commit(ctx, term, guards, records)
	s.leave()
	if err == nil {
		err = s.awaitFollowers(ctx, r)
	}
	if err != nil {
		return 0, err
	}
	return r, nil
}

// enter returns the store to commit to, once nobody moves.
func (s *Switch) enter(ctx context.Context) (Store, error) {
	for {
		s.mu.Lock()
		now, moving, failed := s.now, s.moving, s.failed
		if moving == nil && failed == nil {
			s.commits++
		}
		s.mu.Unlock()
		switch {
		case failed != nil:
			return nil, failed
		case moving == nil:
			return now, nil
		}
		select {
		case <-moving:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Switch) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commits--; s.commits == 0 && s.idle != nil {
		close(s.idle)
	}
}

// awaitFollowers returns when every Follow under way has taken the revision (QUO-1). The store itself cannot tell of one that is between
// the Local and the Cluster.
func (s *Switch) awaitFollowers(ctx context.Context, r Revision) error {
	for {
		s.mu.Lock()
		behind := false
		for f := range s.followers {
			behind = behind || f.at < r
		}
		moved := s.moved
		s.mu.Unlock()
		if !behind {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// Leadership implements Store.
func (s *Switch) Leadership() Leadership {
	s.mu.Lock()
	now, failed := s.now, s.failed
	s.mu.Unlock()
	l := now.Leadership()
	if failed != nil {
		return Leadership{Controller: kafka.NoBroker, Term: l.Term}
	}
	return l
}

// Watch implements Store.
func (s *Switch) Watch(fn func(Leadership)) (stop func()) {
	w := &watcher{fn: fn}
	s.telling.Lock()
	now := s.Leadership()
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	w.last = now
	fn(now)
	s.telling.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
		w.mu.Lock()
		w.stopped = true
		w.mu.Unlock()
	}
}

// tell tells the watchers who leads; what a store says that is not, or no longer, the one in use is left out.
func (s *Switch) tell(from Store) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.mu.Lock()
	if s.now != from {
		s.mu.Unlock()
		return
	}
	list := make([]*watcher, 0, len(s.watchers))
	for w := range s.watchers {
		list = append(list, w)
	}
	s.mu.Unlock()
	now := s.Leadership()
	for _, w := range list {
		w.tell(now)
	}
}

// Close implements Store.
func (s *Switch) Close() error {
	s.mu.Lock()
	s.closed = true
	now := s.now
	s.notifyLocked()
	s.mu.Unlock()
	return now.Close()
}
