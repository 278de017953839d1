package share

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// The log is kept from the oldest of the last snapshots on, and share-partitions that lie idle do not keep it for ever.
func TestLogIsTrimmedToTheLastSnapshots(t *testing.T) {
	reg := timeline.NewRegistry()
	s := NewShard(Env{UpdatesPerSnapshot: func(*metadata.Image) int { return 2 }, TrimInterval: time.Minute, ColdInterval: 5 * time.Minute}, reg)
	now := time.UnixMilli(1_700_000_000_000)
	var end kafka.Offset
	// run is an operation, written as a runtime does; it returns what is to be trimmed.
	run := func(fn func(op *coordinator.Op)) (below kafka.Offset) {
		op := coordinator.NewOp(s, 0, now, metadata.Empty(), kafka.NewUUID)
		fn(op)
		for _, r := range op.Collected().Records {
			s.Placed(r, end)
			end++
		}
		below = -1
		for _, e := range op.Collected().Effects {
			below = e.(TrimLog).Below
		}
		return below
	}
	busy, idle := stateKey{"busy", kafka.UUID{1}, 0}, stateKey{"idle", kafka.UUID{1}, 0}
	snap := func(key stateKey) func(*coordinator.Op) {
		return func(op *coordinator.Op) {
			ms := kafka.Timestamp(now.UnixMilli())
			op.Emit(&snapshot{key: key, createdAt: ms, writtenAt: ms})
		}
	}
	run(snap(busy)) // 0
	run(snap(idle)) // 1
	for range 4 {   // two updates, a snapshot, an update: 2 to 5
		run(func(op *coordinator.Op) {
			st, _ := s.states.Get(busy)
			s.emit(op, busy, st, stateValue{start: 5, leaderEpoch: 1})
		})
	}
	if got := run(s.trim); got != 1 {
		t.Errorf("trim to %d, the idle one's snapshot is at 1", got)
	}
	if got := run(s.trim); got != -1 {
		t.Errorf("trim to %d again", got)
	}
	now = now.Add(6 * time.Minute)
	run(s.trim) // snapshots of both, at 6 and 7
	if got := run(s.trim); got != 6 {
		t.Errorf("trim to %d, want 6: the idle one has a new snapshot", got)
	}
	run(func(op *coordinator.Op) {
		op.Emit(&snapshot{key: busy, isGone: true})
		op.Emit(&snapshot{key: idle, isGone: true})
	})
	if got := run(s.trim); got != end {
		t.Errorf("trim to %d, nothing of %d is needed", got, end)
	}
}

// A shard that is not told how often to trim does it every five minutes, and not all the time.
func TestTrimmingHasADefaultInterval(t *testing.T) {
	reg := timeline.NewRegistry()
	s := NewShard(Env{UpdatesPerSnapshot: func(*metadata.Image) int { return 2 }}, reg)
	op := coordinator.NewOp(s, 0, time.UnixMilli(1_700_000_000_000), metadata.Empty(), kafka.NewUUID)
	s.Loaded(op)
	if timers := op.Collected().Timers; len(timers) != 1 || timers[0].After != defaultInterval {
		t.Errorf("timers %+v, want one after %v", timers, defaultInterval)
	}
}
