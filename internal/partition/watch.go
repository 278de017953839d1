package partition

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
)

// watchers are told each new high watermark, and NoOffset when who waits waits in vain.
type watchers struct {
	mu   sync.Mutex // guards changes of list; a leaf
	list atomic.Pointer[[]*watcher]
}

type watcher struct{ fn func(kafka.Offset) }

// tell calls every watcher. No lock is held (PAR-6).
func (w *watchers) tell(hw kafka.Offset) {
	if list := w.list.Load(); list != nil {
		for _, x := range *list {
			x.fn(hw)
		}
	}
}

func (w *watchers) change(fn func(list []*watcher) []*watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*watcher
	if was := w.list.Load(); was != nil {
		list = slices.Clone(*was)
	}
	list = fn(list)
	w.list.Store(&list)
}

// OnHighWatermark calls fn with the high watermark of now and with each that follows, from goroutines of the engine and possibly with one that is
// older than the last, until stop; with NoOffset when nothing that was appended before will be committed: the log has failed, or is led elsewhere. fn must be quick. A call may be under way when stop returns. It does not open the log: until its first use that is at 0.
func (p *Partition) OnHighWatermark(fn func(kafka.Offset)) (stop func()) {
	w := &watcher{fn}
	p.watchers.change(func(list []*watcher) []*watcher { return append(list, w) })
	fn(p.HighWatermark())
	return func() {
		p.watchers.change(func(list []*watcher) []*watcher {
			return slices.DeleteFunc(list, func(x *watcher) bool { return x == w })
		})
	}
}
