package coordinator

import (
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/timeline"
)

// commits is what waits for the high watermark of a shard's partition. Its lock is a leaf: the engine's goroutine takes it.
type commits struct {
	effects   *effects
	partition int32

	mu      sync.Mutex
	hw      kafka.Offset
	entries []commitEntry // offsets rise; entries[head:] wait
	head    int
	upto    timeline.Epoch // every operation up to here is committed
	stopped bool           // nothing that waits will be committed
}

// commitEntry is an operation whose records are not committed, or one that may have seen those of such an operation.
type commitEntry struct {
	behind  kafka.Offset // committed when the high watermark is here
	seq     timeline.Epoch
	replies []Pending
	effects []any
	waiter  chan struct{} // buffered by one; nil if nobody waits
}

// add enters an operation, or lets its answers go at once if everything is committed. If somebody waits it returns a channel that is told when
// the log is committed up to behind; nil if it is.
func (c *commits) add(behind kafka.Offset, seq timeline.Epoch, replies []Pending, effects []any, waits bool) <-chan struct{} {
	c.mu.Lock()
	if c.hw < behind {
		e := commitEntry{behind: behind, seq: seq, replies: replies, effects: effects}
		if waits {
			e.waiter = make(chan struct{}, 1)
		}
		c.entries = append(c.entries, e)
		c.mu.Unlock()
		return e.waiter
	}
	c.upto = seq
	c.effects.add(c.partition, effects)
	c.mu.Unlock()
	for _, r := range replies {
		r.Release(nil)
	}
	return nil
}

// moved is told each new high watermark.
func (c *commits) moved(hw kafka.Offset) {
	c.mu.Lock()
	if hw <= c.hw || c.stopped {
		c.mu.Unlock()
		return
	}
	c.hw = hw
	first := c.head
	for c.head < len(c.entries) && c.entries[c.head].behind <= hw {
		e := &c.entries[c.head]
		c.upto = max(c.upto, e.seq)
		c.effects.add(c.partition, e.effects)
		c.head++
	}
	done := c.entries[first:c.head:c.head]
	if c.head > len(c.entries)/2 { // what waits moves to memory of its own, since done is still looked at
		c.entries, c.head = append([]commitEntry(nil), c.entries[c.head:]...), 0
	}
	c.mu.Unlock()
	for i := range done {
		for _, r := range done[i].replies {
			r.Release(nil)
		}
		if done[i].waiter != nil {
			done[i].waiter <- struct{}{}
		}
	}
}

// committed is the last operation whose records are committed, with all before it; now is the last one there was.
func (c *commits) committed(now timeline.Epoch) timeline.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) == c.head {
		return now
	}
	return c.upto
}

// reset forgets everything, for a load. Who waits gives up by itself.
func (c *commits) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.head, c.hw, c.upto, c.stopped = nil, 0, 0, 0, false
}

// stop makes the rest wait in vain: what is said of the high watermark after it does not count.
func (c *commits) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

// isStopped reports whether stop was called since reset.
func (c *commits) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}
