package partition

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
)

// trims is what a leader knows of the log starts of its followers, and who waits for them to rise. The lock of waiting guards it.
type trims struct {
	starts map[kafka.BrokerID]kafka.Offset // as the followers of this epoch said last; who said 0, or nothing, is not in it
	moved  chan struct{}                   // closed when that, or the role, changes; nil: nobody waits
}

// said notes where a follower's log starts. Followers are replicas of the partition, so there are not more of them than these.
func (t *trims) said(id kafka.BrokerID, start kafka.Offset) {
	if start <= 0 && t.starts == nil || t.starts[id] == start {
		return
	}
	if t.starts == nil {
		t.starts = map[kafka.BrokerID]kafka.Offset{}
	}
	t.starts[id] = start
	t.wake()
}

// wake has those who wait look again.
func (t *trims) wake() {
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// have reports whether every replica in sync has deleted what is below an offset.
func (t *trims) have(role *Role, start kafka.Offset) bool {
	for _, id := range role.ISR {
		if id != role.Node && t.starts[id] < start {
			return false
		}
	}
	return true
}

// AwaitTrim returns the log start once every replica in sync has deleted what a Trim did: whoever of them leads next, it does not come back.
//
// Errors: NotLeaderOrFollower, FencedLeaderEpoch if another leads by then; RequestTimedOut when ctx ends, and then it may yet be so.
func (p *Partition) AwaitTrim(ctx context.Context, t Trim) (kafka.Offset, error) {
	for {
		w := &p.waiting
		w.Lock()
		role, err := p.leader(t.epoch)
		if err != nil {
			w.Unlock()
			return kafka.NoOffset, err
		}
		if w.trims.have(role, t.before) {
			w.Unlock()
			return p.LogStart(), nil
		}
		if w.trims.moved == nil {
			w.trims.moved = make(chan struct{})
		}
		moved := w.trims.moved
		w.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return kafka.NoOffset, kafka.Errorf(kafka.RequestTimedOut, "the records of %s below offset %d are deleted on its leader, and not on all replicas in sync yet: ask again", p.id, t.before)
		}
	}
}
