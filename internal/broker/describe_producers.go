package broker

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// ProducerState is one active producer of a partition (DescribeProducers).
type ProducerState = partition.ProducerState

// DescribeProducers lists the idempotent producers of a partition that this broker leads or follows, as its own log has them. Errors:
// UnknownTopicOrPartition, NotLeaderOrFollower if the partition is on other brokers only, KafkaStorageError.
func (b *Broker) DescribeProducers(_ *Session, tp kafka.TopicPartition) ([]ProducerState, error) {
	p, err := b.named(tp.Topic, tp.Partition)
	if err != nil {
		return nil, err
	}
	return p.Producers()
}
