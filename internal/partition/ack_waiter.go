package partition

import (
	"sync"
	"sync/atomic"
)

// AckWaiter waits until the appends of one request, to any number of partitions, are committed. It is made to be used again and again:
// Start, appends that name it, Seal; then either nothing is missing, or Done delivers one signal when nothing is any more.
//
// Who gives up (time is out) calls Partition.Forget for each partition and Drop with what was forgotten, and then waits for Done if
// Drop says so: at that moment some partition has already taken the waiter off its queue and completes it within microseconds. Only
// so may a waiter be used again, because nobody holds it any more (PAR-5).
type AckWaiter struct {
	missing atomic.Int32  // appends not yet committed, and one for the request itself until Seal
	done    chan struct{} // buffered by one

	mu     sync.Mutex // guards failed; a leaf
	failed []SlotError
}

// SlotError says that an append was not committed.
type SlotError struct {
	Slot int32
	Err  error
}

// NewAckWaiter returns a waiter that Start makes ready.
func NewAckWaiter() *AckWaiter { return &AckWaiter{done: make(chan struct{}, 1)} }

// Start makes w ready for a request.
func (w *AckWaiter) Start() {
	w.missing.Store(1)
	w.failed = w.failed[:0]
}

// Seal says that no append will be added, and reports whether none is missing.
func (w *AckWaiter) Seal() (complete bool) { return w.missing.Add(-1) == 0 }

// Done delivers one signal if Seal or Drop said that something is missing.
func (w *AckWaiter) Done() <-chan struct{} { return w.done }

// Ready reports whether Done has its signal.
func (w *AckWaiter) Ready() bool { return len(w.done) > 0 }

// Drop takes n forgotten appends off what is missing, and reports whether none is. n > 0.
func (w *AckWaiter) Drop(n int) (complete bool) { return w.missing.Add(-int32(n)) == 0 }

// Failed are the appends that were refused after all. To be read once nothing is missing; valid until Start.
func (w *AckWaiter) Failed() []SlotError { return w.failed }

// complete is called for each append, once.
func (w *AckWaiter) complete() {
	if w.missing.Add(-1) == 0 {
		w.done <- struct{}{}
	}
}

func (w *AckWaiter) fail(slot int32, err error) {
	w.mu.Lock()
	w.failed = append(w.failed, SlotError{slot, err})
	w.mu.Unlock()
	w.complete()
}
