package coordinator

import "sync"

// effects hands committed effects over, in order, from one goroutine.
type effects struct {
	mu     sync.Mutex // a leaf
	some   sync.Cond
	queue  []effect
	closed bool
}

// effect is what an operation of a shard wanted to happen.
type effect struct {
	partition int32
	what      any
}

func (e *effects) init() { e.some.L = &e.mu }

func (e *effects) add(partition int32, list []any) {
	if len(list) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, what := range list {
		e.queue = append(e.queue, effect{partition, what})
	}
	e.some.Signal()
}

func (e *effects) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.some.Signal()
}

// run hands effects to fn until closed.
func (e *effects) run(fn func(partition int32, e any)) {
	for {
		e.mu.Lock()
		for len(e.queue) == 0 && !e.closed {
			e.some.Wait()
		}
		list := e.queue
		e.queue = nil
		closed := e.closed
		e.mu.Unlock()
		if closed {
			return
		}
		for _, x := range list {
			if fn != nil {
				fn(x.partition, x.what)
			}
		}
	}
}
