package broker

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeTransactions describes transactional ids. Per id: the answers of txn.Shard.DescribeTransaction and of the coordinator.
func (b *Broker) DescribeTransactions(_ context.Context, _ *Session, q *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse {
	a := kmsg.NewPtrDescribeTransactionsResponse()
	for _, id := range q.TransactionalIDs {
		a.TransactionStates = append(a.TransactionStates, b.describeTransaction(id))
	}
	return a
}

func (b *Broker) describeTransaction(id string) kmsg.DescribeTransactionsResponseTransactionState {
	err := error(kafka.CoordinatorNotAvailable)
	if b.opts.Txns != nil {
		var state kmsg.DescribeTransactionsResponseTransactionState
		state, err = coordinator.Read(b.opts.Txns, id, func(s *txn.Shard, v coordinator.View) kmsg.DescribeTransactionsResponseTransactionState {
			return s.DescribeTransaction(v, id)
		})
		if err == nil {
			return state
		}
	}
	a := kmsg.NewDescribeTransactionsResponseTransactionState()
	a.TransactionalID, a.ErrorCode = id, int16(coordinatorCode(err))
	return a
}

// ListTransactions lists the transactional ids that this node coordinates. Answers: INVALID_REGULAR_EXPRESSION,
// COORDINATOR_LOAD_IN_PROGRESS while some of them are being loaded, COORDINATOR_NOT_AVAILABLE.
func (b *Broker) ListTransactions(_ context.Context, _ *Session, q *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	a := kmsg.NewPtrListTransactionsResponse()
	filter, err := txn.NewFilter(q)
	switch {
	case err != nil:
	case b.opts.Txns == nil:
		err = kafka.CoordinatorNotAvailable
	default:
		a.UnknownStateFilters = filter.UnknownStates
		err = coordinator.Each(b.opts.Txns, func(s *txn.Shard, v coordinator.View) {
			a.TransactionStates = append(a.TransactionStates, s.ListTransactions(v, filter)...)
		})
	}
	if err != nil {
		a.ErrorCode, a.TransactionStates = int16(coordinatorCode(err)), nil
		return a
	}
	slices.SortFunc(a.TransactionStates, func(x, y kmsg.ListTransactionsResponseTransactionState) int {
		return strings.Compare(x.TransactionalID, y.TransactionalID)
	})
	return a
}
