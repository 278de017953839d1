package quorum

import (
	"context"
	"fmt"
	"sync"
)

// The tail keeps recent batches so that who loads a snapshot can follow from there. What no follower has taken yet is kept up to the
// hard limit, for a follower that hangs must not take the node's memory with it.
const (
	tailBatches   = 1024
	tailBytes     = 1 << 20
	tailBytesHard = 64 << 20
)

// tail is the last batches, without gaps: after is the revision before the first one.
type tail struct {
	after   Revision
	batches []Batch
	sizes   []int
	bytes   int
}

func (t *tail) add(b Batch, size int) {
	t.batches = append(t.batches, b)
	t.sizes = append(t.sizes, size)
	t.bytes += size
}

// trim drops batches from the front: those that everybody has taken beyond the soft limits, any beyond the hard one.
func (t *tail) trim(taken Revision) {
	n, bytes := 0, t.bytes
	for n < len(t.batches) {
		soft := len(t.batches)-n > tailBatches || bytes > tailBytes
		if !(soft && t.batches[n].Revision <= taken) && bytes <= tailBytesHard {
			break
		}
		bytes -= t.sizes[n]
		n++
	}
	// Cut in large steps, so that each batch is copied once or twice in its life.
	if n > 0 && (n >= len(t.batches)/2 || t.bytes > tailBytesHard) {
		t.after, t.bytes = t.batches[n-1].Revision, bytes
		t.batches = append([]Batch(nil), t.batches[n:]...)
		t.sizes = append([]int(nil), t.sizes[n:]...)
	}
}

// follower is one Follow under way; at is the last revision its function has taken.
type follower struct{ at Revision }

func (l *Local) trimLocked() {
	taken := l.head
	for f := range l.followers {
		taken = min(taken, f.at)
	}
	l.tail.trim(taken)
}

// Follow implements Store.
func (l *Local) Follow(ctx context.Context, after Revision, fn func(Batch) error) error {
	f := &follower{at: after}
	l.mu.Lock()
	if after > l.head {
		head := l.head
		l.mu.Unlock()
		return fmt.Errorf("follow after revision %d, the last one is %d", after, head)
	}
	l.followers[f] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.followers, f)
		l.notifyLocked()
		l.mu.Unlock()
	}()
	for {
		batches, moved, err := l.next(f)
		if err != nil {
			return err
		}
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(b); err != nil {
				return err
			}
			l.mu.Lock()
			f.at = b.Revision
			l.notifyLocked()
			l.mu.Unlock()
		}
		if len(batches) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// next returns the batches after what f has taken, or a channel that closes when there may be some.
func (l *Local) next(f *follower) ([]Batch, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.at < l.tail.after {
		return nil, nil, fmt.Errorf("after revision %d, kept are those after %d: %w", f.at, l.tail.after, ErrTooFarBehind)
	}
	// The slice stays valid without the lock: add writes behind its end only, and trim copies.
	batches := l.tail.batches[f.at-l.tail.after:]
	if len(batches) == 0 && l.closed {
		return nil, nil, ErrClosed
	}
	return batches[:len(batches):len(batches)], l.moved, nil
}

// awaitFollowers returns when every Follow under way has taken the revision (QUO-1).
func (l *Local) awaitFollowers(ctx context.Context, rev Revision) error {
	for {
		l.mu.Lock()
		behind := false
		for f := range l.followers {
			behind = behind || f.at < rev
		}
		moved := l.moved
		l.mu.Unlock()
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

// watcher is one Watch under way. mu orders its calls; stopped is set under it, so no call begins after stop has returned.
type watcher struct {
	mu      sync.Mutex
	fn      func(Leadership)
	last    Leadership
	stopped bool
}

func (w *watcher) tell(now Leadership) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped || now == w.last {
		return
	}
	w.last = now
	w.fn(now)
}

// Watch implements Store.
func (l *Local) Watch(fn func(Leadership)) (stop func()) {
	w := &watcher{fn: fn}
	w.mu.Lock() // a change that comes now waits until fn was told the present state
	l.mu.Lock()
	l.watchers[w] = struct{}{}
	now := l.leadershipLocked()
	l.mu.Unlock()
	w.last = now
	w.fn(now)
	w.mu.Unlock()
	return func() {
		l.mu.Lock()
		delete(l.watchers, w)
		l.mu.Unlock()
		w.mu.Lock()
		w.stopped = true
		w.mu.Unlock()
	}
}

// tellWatchers tells all of them who leads now; called without mu.
func (l *Local) tellWatchers() {
	l.mu.Lock()
	now := l.leadershipLocked()
	list := make([]*watcher, 0, len(l.watchers))
	for w := range l.watchers {
		list = append(list, w)
	}
	l.mu.Unlock()
	for _, w := range list {
		w.tell(now)
	}
}
