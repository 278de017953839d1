package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// ListOffsetsPartition asks one partition: Timestamp in ms, or -1 latest, -2 earliest, -3 max timestamp, -4 earliest local, -5 latest
// tiered, -6 earliest pending upload.
type ListOffsetsPartition struct {
	Topic       string
	Partition   int32
	LeaderEpoch kafka.LeaderEpoch // NoEpoch: not checked
	Timestamp   int64
}

// ListOffsetsResult: Offset -1 when nothing matches.
type ListOffsetsResult struct {
	Err         error
	Timestamp   kafka.Timestamp
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
}

// ListOffsets finds the offsets of times and places. It reads from disk if it must, and gives up between partitions when ctx ends.
// replica: negative for a consumer.
//
// Per partition: UnknownTopicOrPartition, RequestTimedOut when ctx has ended, and the errors of partition.FindOffset.
func (b *Broker) ListOffsets(ctx context.Context, _ *Session, replica kafka.BrokerID, iso Isolation, parts []ListOffsetsPartition) []ListOffsetsResult {
	results := make([]ListOffsetsResult, len(parts))
	for i := range parts {
		found, err := b.listOffset(ctx, replica, iso, &parts[i])
		results[i] = ListOffsetsResult{Err: err, Timestamp: found.Timestamp, Offset: found.Offset, LeaderEpoch: found.Epoch}
	}
	return results
}

func (b *Broker) listOffset(ctx context.Context, replica kafka.BrokerID, iso Isolation, at *ListOffsetsPartition) (partition.FoundOffset, error) {
	none := partition.FoundOffset{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp, Epoch: kafka.NoEpoch}
	if ctx.Err() != nil {
		return none, kafka.RequestTimedOut
	}
	p, err := b.named(at.Topic, at.Partition)
	if err != nil {
		return none, err
	}
	if replica >= 0 {
		return none, errNoFollower
	}
	return p.FindOffset(partition.OffsetQuery{At: at.Timestamp, CurrentEpoch: at.LeaderEpoch, Isolation: iso})
}
