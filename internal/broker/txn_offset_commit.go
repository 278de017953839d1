package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Versions of TxnOffsetCommit from which a client understands TRANSACTION_ABORTABLE, and leaves it to the broker to add the group's
// partition to the transaction (KIP-890).
const (
	commitKnowsAbortable = 4
	commitAddsOffsets    = 5
)

// TxnOffsetCommit keeps offsets of a group that count once the transaction is committed. The transaction must have the group's partition
// of __consumer_offsets: with v5 it is added, before that the client has had it added.
//
// Per partition: INVALID_TXN_STATE or, from v4 on, TRANSACTION_ABORTABLE if it has not; INVALID_PRODUCER_ID_MAPPING, INVALID_PRODUCER_EPOCH
// if the producer was fenced; CONCURRENT_TRANSACTIONS (v5); COORDINATOR_NOT_AVAILABLE if the transaction's coordinator cannot be asked now;
// and what the group answers.
func (b *Broker) TxnOffsetCommit(ctx context.Context, s *Session, q *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	tp, err := b.offsetsPartition(q.Group)
	if err != nil {
		return refusedCommit(q, coordinatorCode(err))
	}
	if code := b.admitCommit(ctx, q, tp); code != kafka.None {
		return refusedCommit(q, code)
	}
	a, err := coordinator.Ask(ctx, b.opts.Groups, q.Group, func(shard *group.Shard, op *coordinator.Op) *kmsg.TxnOffsetCommitResponse {
		return shard.TxnOffsetCommit(op, clientOf(s), q)
	})
	if err != nil {
		return refusedCommit(q, coordinatorCode(err))
	}
	return a
}

// admitCommit makes sure that the transaction has the partition of the group.
func (b *Broker) admitCommit(ctx context.Context, q *kmsg.TxnOffsetCommitRequest, tp kafka.TopicPartition) kafka.ErrorCode {
	implicit := q.Version >= commitAddsOffsets
	if b.opts.Transactions == nil {
		return kafka.CoordinatorNotAvailable
	}
	if !implicit && b.trustsTransactions() {
		return kafka.None
	}
	errs := b.opts.Transactions.AddPartitions(ctx, q.TransactionalID, kafka.ProducerID(q.ProducerID), kafka.ProducerEpoch(q.ProducerEpoch),
		[]kafka.TopicPartition{tp}, !implicit)
	switch code := kafka.CodeOf(errs[0]); code {
	case kafka.ProducerFenced:
		return kafka.InvalidProducerEpoch
	case kafka.TransactionAbortable:
		if q.Version < commitKnowsAbortable {
			return kafka.InvalidTxnState
		}
		return code
	case kafka.ConcurrentTransactions:
		if !implicit {
			return kafka.CoordinatorNotAvailable
		}
		return code
	case kafka.NotCoordinator, kafka.CoordinatorLoadInProgress:
		// Of the transaction's coordinator, not of the group's, which the client would look up anew.
		return kafka.CoordinatorNotAvailable
	default:
		return code
	}
}

func refusedCommit(q *kmsg.TxnOffsetCommitRequest, code kafka.ErrorCode) *kmsg.TxnOffsetCommitResponse {
	a := kmsg.NewPtrTxnOffsetCommitResponse()
	for i := range q.Topics {
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic, topic.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
		for j := range q.Topics[i].Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = q.Topics[i].Partitions[j].Partition, int16(code)
			topic.Partitions = append(topic.Partitions, p)
		}
		a.Topics = append(a.Topics, topic)
	}
	return a
}
