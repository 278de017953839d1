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

func (f *feed) trimLocked() {
	taken := f.head
	for w := range f.followers {
		taken = min(taken, w.at)
	}
	f.tail.trim(taken)
}

// Follow implements Store.
func (f *feed) Follow(ctx context.Context, after Revision, fn func(Batch) error) error {
	w := &follower{at: after}
	f.mu.Lock()
	if after > f.head {
		head := f.head
		f.mu.Unlock()
		return fmt.Errorf("follow after revision %d, the last one is %d", after, head)
	}
	f.followers[w] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.followers, w)
		f.notifyLocked()
		f.mu.Unlock()
	}()
	for {
		batches, moved, err := f.next(w)
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
			f.mu.Lock()
			w.at = b.Revision
			f.notifyLocked()
			f.mu.Unlock()
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

// next returns the batches after what w has taken, or a channel that closes when there may be some.
func (f *feed) next(w *follower) ([]Batch, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w.at < f.tail.after {
		return nil, nil, fmt.Errorf("after revision %d, kept are those after %d: %w", w.at, f.tail.after, ErrTooFarBehind)
	}
	// The slice stays valid without the lock: add writes behind its end only, and trim copies.
	batches := f.tail.batches[w.at-f.tail.after:]
	if len(batches) == 0 && f.ended != nil {
		return nil, nil, f.ended
	}
	return batches[:len(batches):len(batches)], f.moved, nil
}

// awaitFollowers returns when every Follow under way has taken the revision (QUO-1).
func (f *feed) awaitFollowers(ctx context.Context, rev Revision) error {
	for {
		f.mu.Lock()
		behind := false
		for w := range f.followers {
			behind = behind || w.at < rev
		}
		moved := f.moved
		f.mu.Unlock()
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
func (f *feed) Watch(fn func(Leadership)) (stop func()) {
	w := &watcher{fn: fn}
	w.mu.Lock() // a change that comes now waits until fn was told the present state
	f.mu.Lock()
	f.watchers[w] = struct{}{}
	now := f.leads
	f.mu.Unlock()
	w.last = now
	w.fn(now)
	w.mu.Unlock()
	return func() {
		f.mu.Lock()
		delete(f.watchers, w)
		f.mu.Unlock()
		w.mu.Lock()
		w.stopped = true
		w.mu.Unlock()
	}
}

// tellWatchers tells all of them who leads now; called without mu, by one goroutine at a time, or a watcher could hear of an old
// leadership last.
func (f *feed) tellWatchers() {
	f.mu.Lock()
	now := f.leads
	list := make([]*watcher, 0, len(f.watchers))
	for w := range f.watchers {
		list = append(list, w)
	}
	f.mu.Unlock()
	for _, w := range list {
		w.tell(now)
	}
}
