package share

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// TrimLog is an effect: what is below an offset of the shard's partition of __share_group_state is needed no more.
type TrimLog struct{ Below kafka.Offset }

// The records of the topic are not each the whole state of their key, so compaction would lose some. What a load needs is everything from the
// oldest of the last snapshots on: one is written when there have been enough updates, and for share-partitions that lie idle, now and then.

const trimTimer = "trim"

// Placed implements coordinator.Placed.
func (s *Shard) Placed(r coordinator.Record, at kafka.Offset) {
	s.end = at + 1
	if r, ok := r.(*snapshot); ok {
		if r.isGone {
			delete(s.placed, r.key)
		} else {
			s.placed[r.key] = at
		}
	}
}

// Loaded starts the trimming.
func (s *Shard) Loaded(op *coordinator.Op) { op.Schedule(trimTimer, s.env.TrimInterval, s.trim) }

// trim asks for the log to be trimmed to what a load needs now, and writes snapshots of what lies idle, so that the next time it is less.
func (s *Shard) trim(op *coordinator.Op) {
	below := s.end
	for _, at := range s.placed {
		below = min(below, at)
	}
	if below > s.trimmed {
		s.trimmed = below
		op.Effect(TrimLog{below})
	}
	now := kafka.Timestamp(op.Now.UnixMilli())
	cold := now - kafka.Timestamp(s.env.ColdInterval.Milliseconds())
	var keys []stateKey
	for key, st := range s.states.All() {
		if at, ok := s.placed[key]; ok && st.writtenAt <= cold && at < s.end-1 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b stateKey) int { return cmp.Compare(s.placed[a], s.placed[b]) })
	op.Atomic(false)
	for _, key := range keys {
		st, _ := s.states.Get(key)
		op.Emit(&snapshot{key: key, epoch: st.epoch + 1, stateValue: st.stateValue, stateEpoch: st.stateEpoch, createdAt: st.createdAt, writtenAt: now})
	}
	op.Schedule(trimTimer, s.env.TrimInterval, s.trim)
}
