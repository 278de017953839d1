package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// partitionLog is the extent of one partition's log at one moment.
type partitionLog struct {
	topic     string
	partition int32
	leader    int32
	start     int64
	end       int64           // high watermark; last stable offset for read_committed
	times     map[int64]int64 // timestamp in milliseconds → the first offset at or after it
}

// loadLogs asks for the extents of the topics' partitions (only those listed, if any are), and for the offsets of the
// times among bounds. Sorted by topic and partition.
func loadLogs(ctx context.Context, adm *admin, topics []string, only []int32, isolation kgo.IsolationLevel, bounds ...offsetspec.Bound) ([]partitionLog, error) {
	details, err := loadTopics(ctx, adm, topics...)
	if err != nil {
		return nil, err
	}
	starts, err := listed(adm.ListStartOffsets(ctx, topics...))
	if err != nil {
		return nil, err
	}
	list := adm.ListEndOffsets
	if isolation == kgo.ReadCommitted() {
		list = adm.ListCommittedOffsets
	}
	ends, err := listed(list(ctx, topics...))
	if err != nil {
		return nil, err
	}
	var logs []partitionLog
	for _, d := range details {
		for _, p := range only {
			if _, ok := d.Partitions[p]; !ok {
				return nil, fmt.Errorf("topic %q has no partition %d; it has 0 to %d", d.Topic, p, len(d.Partitions)-1)
			}
		}
		for _, p := range d.Partitions.Sorted() {
			if len(only) > 0 && !slices.Contains(only, p.Partition) {
				continue
			}
			start, _ := starts.Lookup(d.Topic, p.Partition)
			end, _ := ends.Lookup(d.Topic, p.Partition)
			logs = append(logs, partitionLog{d.Topic, p.Partition, p.Leader, start.Offset, end.Offset, map[int64]int64{}})
		}
	}
	for _, b := range bounds {
		if b.Kind != offsetspec.Time {
			continue
		}
		at, err := listed(adm.ListOffsetsAfterMilli(ctx, b.N, topics...))
		if err != nil {
			return nil, err
		}
		for i := range logs {
			o, _ := at.Lookup(logs[i].topic, logs[i].partition)
			logs[i].times[b.N] = o.Offset
		}
	}
	return logs, nil
}

// listed turns the errors of single partitions into one that names the partition.
func listed(offsets kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	if err != nil {
		return nil, err
	}
	offsets.Each(func(o kadm.ListedOffset) {
		if o.Err != nil && err == nil {
			err = fmt.Errorf("offsets of %s/%d: %w", o.Topic, o.Partition, describe(o.Err, ""))
		}
	})
	return offsets, err
}
