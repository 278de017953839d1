package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
)

// EndTxn commits or aborts the open transaction of a producer. It returns when the decision is committed (TXN-2); consumers that read
// committed records get to see them a moment later. Answers: those of txn.Shard.EndTransaction and of the coordinator; COORDINATOR_LOAD_IN_PROGRESS
// also if the producer needs a new id and none can be had now.
func (b *Broker) EndTxn(ctx context.Context, _ *Session, q *kmsg.EndTxnRequest) *kmsg.EndTxnResponse {
	refused := func(code kafka.ErrorCode) *kmsg.EndTxnResponse {
		a := kmsg.NewPtrEndTxnResponse()
		a.ErrorCode, a.ProducerID, a.ProducerEpoch = int16(code), -1, -1
		return a
	}
	if b.opts.Txns == nil {
		return refused(kafka.CoordinatorNotAvailable)
	}
	newID := kafka.NoProducer
	if txn.NeedsNewID(q) {
		var err error
		if newID, err = b.producers.next(ctx); err != nil {
			return refused(kafka.CoordinatorLoadInProgress)
		}
	}
	a, err := coordinator.AskLater(ctx, b.opts.Txns, q.TransactionalID, func(s *txn.Shard, op *coordinator.Op, later *coordinator.Reply[*kmsg.EndTxnResponse]) {
		s.EndTransaction(op, q, newID, later)
	})
	if err != nil {
		return refused(coordinatorCode(err))
	}
	return a
}
