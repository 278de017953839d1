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
// replica: negative for a consumer; to a follower the latest offset is the log end.
//
// Per partition: UnknownTopicOrPartition, NotLeaderOrFollower, RequestTimedOut when ctx has ended, and the errors of partition.FindOffset.
func (b *Broker) ListOffsets(ctx context.Context, s *Session, replica kafka.BrokerID, iso Isolation, parts []ListOffsetsPartition) []ListOffsetsResult {
	results := make([]ListOffsetsResult, len(parts))
	var refused error
	if replica >= 0 {
		refused = b.mayFollow(s, replica, -1)
	}
	for i := range parts {
		found, err := b.listOffset(ctx, replica, refused, iso, &parts[i])
		results[i] = ListOffsetsResult{Err: err, Timestamp: found.Timestamp, Offset: found.Offset, LeaderEpoch: found.Epoch}
	}
	return results
}

func (b *Broker) listOffset(ctx context.Context, replica kafka.BrokerID, refused error, iso Isolation, at *ListOffsetsPartition) (partition.FoundOffset, error) {
	none := partition.FoundOffset{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp, Epoch: kafka.NoEpoch}
	if ctx.Err() != nil {
		return none, kafka.RequestTimedOut
	}
	p, err := b.named(at.Topic, at.Partition)
	if err != nil {
		return none, err
	}
	const latest = -1
	switch {
	case refused != nil:
		return none, refused
	case replica >= 0 && at.Timestamp == latest:
		end, err := p.EpochEnd(at.LeaderEpoch, p.Role().Epoch)
		if err != nil {
			return none, err
		}
		return partition.FoundOffset{Offset: end.End, Timestamp: kafka.NoTimestamp, Epoch: end.Epoch}, nil
	}
	return p.FindOffset(partition.OffsetQuery{At: at.Timestamp, CurrentEpoch: at.LeaderEpoch, Isolation: iso})
}
