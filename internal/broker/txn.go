package broker

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/txnmarker"
)

// TxnOptions are what the verbs about transactions need beside the Options.
type TxnOptions struct {
	// Txns are the shards of __transaction_state on this node. [none: transactional ids get CoordinatorNotAvailable]
	Txns *coordinator.Runtime[*txn.Shard]
	// Markers writes markers to the partitions of this node. [none: WriteTxnMarkers finds no partition]
	Markers txnmarker.Writer
}

// TransactionsOf is the Transactions that the shards of this node know.
func TransactionsOf(r *coordinator.Runtime[*txn.Shard]) Transactions { return localTransactions{r} }

type localTransactions struct {
	shards *coordinator.Runtime[*txn.Shard]
}

// AddPartitions implements Transactions. To verify waits for nothing; to add waits also until the markers of the producer's last
// transaction are written, at most some seconds.
func (l localTransactions) AddPartitions(ctx context.Context, id string, producer kafka.ProducerID, epoch kafka.ProducerEpoch, partitions []kafka.TopicPartition, verifyOnly bool) []error {
	p := coordinator.Producer{ID: producer, Epoch: epoch}
	if verifyOnly {
		return codesToErrors(l.verify(id, p, partitions))
	}
	code := l.add(ctx, txn.Add{ID: id, Producer: p, Partitions: partitions, Version: txn.Version2})
	return codesToErrors(repeated(code, len(partitions)))
}

func (l localTransactions) add(ctx context.Context, a txn.Add) kafka.ErrorCode {
	if l.shards == nil {
		return kafka.CoordinatorNotAvailable
	}
	code, err := coordinator.AskLater(ctx, l.shards, a.ID, func(s *txn.Shard, op *coordinator.Op, later *coordinator.Reply[kafka.ErrorCode]) {
		s.AddPartitions(op, a, later)
	})
	if err != nil {
		return coordinatorCode(err)
	}
	return code
}

// verify returns a code for each partition.
func (l localTransactions) verify(id string, p coordinator.Producer, partitions []kafka.TopicPartition) []kafka.ErrorCode {
	if l.shards == nil {
		return repeated(kafka.CoordinatorNotAvailable, len(partitions))
	}
	codes, err := coordinator.Read(l.shards, id, func(s *txn.Shard, v coordinator.View) []kafka.ErrorCode {
		return s.VerifyPartitions(v, id, p, partitions)
	})
	if err != nil {
		return repeated(coordinatorCode(err), len(partitions))
	}
	return codes
}

func repeated(code kafka.ErrorCode, n int) []kafka.ErrorCode {
	codes := make([]kafka.ErrorCode, n)
	for i := range codes {
		codes[i] = code
	}
	return codes
}

func codesToErrors(codes []kafka.ErrorCode) []error {
	errs := make([]error, len(codes))
	for i, c := range codes {
		if c != kafka.None {
			errs[i] = c
		}
	}
	return errs
}

// coordinatorCode is the code of an error of a coordinator's runtime. Who has given up waiting gets one that is tried again.
func coordinatorCode(err error) kafka.ErrorCode {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return kafka.CoordinatorNotAvailable
	}
	return kafka.CodeOf(err)
}

// transactions are those of this node.
func (b *Broker) transactions() localTransactions { return localTransactions{b.opts.Txns} }
