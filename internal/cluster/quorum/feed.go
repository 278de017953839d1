package quorum

import (
	"slices"
	"sync"

	"github.com/rafka-io/rafka/internal/metadata"
)

// feed is the part that all stores of one node share: the newest image, the batches that lead to it, who follows them and who watches the
// leadership. A store adds to it from one place at a time; Follow and Watch are its methods.
type feed struct {
	// mu guards what follows, and what the store says so of. Held for memory work only.
	mu sync.Mutex
	// image and head are what is durable and visible here.
	image     *metadata.Image
	head      Revision
	tail      tail // ends at head
	followers map[*follower]struct{}
	moved     chan struct{} // closed and replaced when head, a follower, the leadership or ended moves
	ended     error         // what Follow returns once it has given everything; nil while the store is open
	leads     Leadership
	watchers  map[*watcher]struct{}
}

func newFeed() feed {
	return feed{
		image:     metadata.Empty(),
		followers: map[*follower]struct{}{},
		moved:     make(chan struct{}),
		watchers:  map[*watcher]struct{}{},
	}
}

// Leadership implements Store.
func (f *feed) Leadership() Leadership {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leads
}

// addLocked makes a batch visible; img is the image with it folded in.
func (f *feed) addLocked(b Batch, size int, img *metadata.Image) {
	f.tail.add(b, size)
	f.image, f.head = img, b.Revision
}

// resetLocked goes on at another place of the history. Whoever follows from before it is told ErrTooFarBehind.
func (f *feed) resetLocked(img *metadata.Image, head Revision) {
	f.image, f.head, f.tail = img, head, tail{after: head}
	f.notifyLocked()
}

// notifyLocked wakes everyone who waits for a change.
func (f *feed) notifyLocked() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// lead sets who leads and tells the watchers; called without mu, by one goroutine at a time.
func (f *feed) lead(now Leadership) {
	f.mu.Lock()
	if f.ended != nil || f.leads == now {
		f.mu.Unlock()
		return
	}
	f.leads = now
	f.notifyLocked()
	f.mu.Unlock()
	f.tellWatchers()
}

// inherit puts the batches that old has kept before those of f, which goes on where old has ended, so that nobody who follows falls into
// the gap between them.
func (f *feed) inherit(old *feed) {
	old.mu.Lock()
	kept, head := old.tail, old.head
	kept.batches, kept.sizes = slices.Clone(kept.batches), slices.Clone(kept.sizes)
	old.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tail.after != head {
		return
	}
	f.tail = tail{
		after:   kept.after,
		batches: append(kept.batches, f.tail.batches...),
		sizes:   append(kept.sizes, f.tail.sizes...),
		bytes:   kept.bytes + f.tail.bytes,
	}
}
