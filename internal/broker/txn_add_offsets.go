package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
)

// offsetsTopic is where groups keep their offsets.
const offsetsTopic = "__consumer_offsets"

// AddOffsetsToTxn adds to a transaction the partition of __consumer_offsets that has the offsets of a group; clients of transaction
// version 2 leave it out. Answers: those of txn.Shard.AddPartitions (INVALID_PRODUCER_EPOCH for PRODUCER_FENCED before v2) and of the
// coordinators.
func (b *Broker) AddOffsetsToTxn(ctx context.Context, _ *Session, q *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse {
	a := kmsg.NewPtrAddOffsetsToTxnResponse()
	tp, err := b.offsetsPartition(q.Group)
	if err != nil {
		a.ErrorCode = int16(coordinatorCode(err))
		return a
	}
	code := b.transactions().add(ctx, txn.Add{
		ID: q.TransactionalID, Partitions: []kafka.TopicPartition{tp}, Version: txn.Version1,
		Producer: coordinator.Producer{ID: kafka.ProducerID(q.ProducerID), Epoch: kafka.ProducerEpoch(q.ProducerEpoch)},
	})
	a.ErrorCode = int16(olderFenced(code, q.Version < 2))
	return a
}

// offsetsPartition is where a group's offsets are. Errors: CoordinatorNotAvailable.
func (b *Broker) offsetsPartition(group string) (kafka.TopicPartition, error) {
	if b.opts.Groups == nil {
		return kafka.TopicPartition{}, kafka.CoordinatorNotAvailable
	}
	n, err := b.opts.Groups.PartitionOf(group)
	return kafka.TopicPartition{Topic: offsetsTopic, Partition: n}, err
}
