package txnmarker

import (
	"context"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
)

// RuntimeOf is the Coordinator that a runtime of transaction shards is.
func RuntimeOf(r *coordinator.Runtime[*txn.Shard]) Coordinator { return runtime{r} }

type runtime struct {
	*coordinator.Runtime[*txn.Shard]
}

func (r runtime) MarkersWritten(ctx context.Context, _ int32, done []Written) error {
	// All of them are in one partition, so any id leads to its shard.
	_, err := coordinator.Ask(ctx, r.Runtime, done[0].ID, func(s *txn.Shard, op *coordinator.Op) struct{} {
		op.Atomic(false) // they have nothing to do with each other
		for _, w := range done {
			s.MarkersWritten(op, w.ID, w.Producer)
		}
		return struct{}{}
	})
	return err
}

func (r runtime) Coordinates(partition int32) bool {
	return r.Phase(partition) == coordinator.PhaseActive
}
