package timeline

// Epoch numbers states. It only rises.
type Epoch = int64

// Latest reads the state of this moment.
const Latest Epoch = 1<<63 - 1

// Registry is the containers of one shard, all on one line of time. It is not safe for concurrent use.
type Registry struct {
	snapshots []snapshot // epochs rise; the first ones are dropped from the front
}

// snapshot is a state that can be returned to: the containers that have changed since know what they held then.
type snapshot struct {
	epoch   Epoch
	changed []container
}

// container is what a Registry asks of a Map or a Value. Its deltas are in the order of the snapshots.
type container interface {
	revert(at Epoch)     // undoes and drops the deltas of at and later
	release(below Epoch) // drops the deltas before below
}

// NewRegistry returns a Registry without containers.
func NewRegistry() *Registry { return &Registry{} }

// Snapshot makes the state of now one that can be returned to and read as at. at is above every epoch before. While nothing has changed since the
// last snapshot it costs nothing: one state has then several epochs, of which the last is remembered.
func (r *Registry) Snapshot(at Epoch) {
	if n := len(r.snapshots); n > 0 {
		if last := &r.snapshots[n-1]; len(last.changed) == 0 {
			last.epoch = at
			return
		}
	}
	r.snapshots = append(r.snapshots, snapshot{epoch: at})
}

// Revert makes the state what it was at the call of Snapshot(at) (TML-1). Later snapshots are gone.
func (r *Registry) Revert(at Epoch) {
	for n := len(r.snapshots); n > 0 && r.snapshots[n-1].epoch >= at; n-- {
		s := &r.snapshots[n-1]
		for _, c := range s.changed {
			c.revert(s.epoch)
		}
		*s = snapshot{}
		r.snapshots = r.snapshots[:n-1]
	}
	r.Snapshot(at)
}

// Release forgets the snapshots below an epoch: nobody returns to them or reads them any more (TML-3).
func (r *Registry) Release(below Epoch) {
	n := 0
	for n < len(r.snapshots) && r.snapshots[n].epoch < below {
		for _, c := range r.snapshots[n].changed {
			c.release(below)
		}
		n++
	}
	if n > 0 {
		left := copy(r.snapshots, r.snapshots[n:])
		clear(r.snapshots[left:])
		r.snapshots = r.snapshots[:left]
	}
}

// last is the epoch whose delta a change belongs to; ok is false if no state is to be remembered.
func (r *Registry) last() (at Epoch, ok bool) {
	if n := len(r.snapshots); n > 0 {
		return r.snapshots[n-1].epoch, true
	}
	return 0, false
}

// note says that c has changed since the last snapshot.
func (r *Registry) note(c container) {
	s := &r.snapshots[len(r.snapshots)-1]
	s.changed = append(s.changed, c)
}
