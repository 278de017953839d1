package broker

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// TotalsVerbs are the verbs that CountStored calls; a Broker has them.
type TotalsVerbs interface {
	Image() *metadata.Image
	ListOffsets(ctx context.Context, s *Session, replica kafka.BrokerID, iso Isolation, parts []ListOffsetsPartition) []ListOffsetsResult
	DescribeLogDirs(s *Session, want func(kafka.TopicPartition) bool) []LogDir
}

// LocalVerbs is what TotalsVerbs may have besides, if they answer for other brokers too: those of this one alone.
type LocalVerbs interface {
	Here() TotalsVerbs
}

// StoredTotals is what this broker stores.
type StoredTotals struct {
	Messages uint64    // offsets between log start and high watermark
	Bytes    uint64    // of the logs
	Oldest   time.Time // of the first record of any partition; zero: there is none
}

// totalsChunk is how many partitions are asked about at a time, so that the answers of very many do not add up in memory.
const totalsChunk = 1000

// CountStored asks every partition led here. It opens logs that were idle, so do not call it often. Partitions that cannot answer, such as
// those of a failed directory, are left out.
func CountStored(ctx context.Context, verbs TotalsVerbs, s *Session) (StoredTotals, error) {
	if all, ok := verbs.(LocalVerbs); ok {
		verbs = all.Here()
	}
	var sum StoredTotals
	var query []ListOffsetsPartition
	ask := func() {
		answers := verbs.ListOffsets(ctx, s, kafka.NoBroker, ReadUncommitted, query)
		for i := 0; i+2 < len(answers); i += 3 {
			start, end, first := answers[i], answers[i+1], answers[i+2]
			if start.Err != nil || end.Err != nil || end.Offset <= start.Offset {
				continue
			}
			sum.Messages += uint64(end.Offset - start.Offset)
			if at := time.UnixMilli(int64(first.Timestamp)); first.Err == nil && first.Timestamp > 0 && (sum.Oldest.IsZero() || at.Before(sum.Oldest)) {
				sum.Oldest = at
			}
		}
		query = query[:0]
	}
	for topic := range verbs.Image().Topics.All() {
		for p := range topic.Partitions {
			for _, at := range []int64{int64(FromEarliest), int64(FromLatest), 0} {
				query = append(query, ListOffsetsPartition{Topic: topic.Name, Partition: int32(p), LeaderEpoch: kafka.NoEpoch, Timestamp: at})
			}
			if len(query) >= 3*totalsChunk {
				ask()
			}
			if err := context.Cause(ctx); err != nil {
				return StoredTotals{}, err
			}
		}
	}
	ask()
	for _, dir := range verbs.DescribeLogDirs(s, nil) {
		for _, l := range dir.Logs {
			sum.Bytes += uint64(max(l.Size, 0))
		}
	}
	return sum, nil
}
