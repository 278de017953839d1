package broker

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// TrimPartition asks DeleteRecords of one partition: everything below Before goes; -1: up to the high watermark.
type TrimPartition struct {
	Topic     string
	Partition int32
	Before    kafka.Offset
}

// TrimResult: the new log start (low watermark), NoOffset with an error.
type TrimResult struct {
	Err          error
	LowWatermark kafka.Offset
}

// DeleteRecords removes the beginning of partitions, durably, and on all replicas in sync: it answers when they have done so too.
//
// Per partition: UnknownTopicOrPartition, InvalidTopicException (internal topic) and the errors of partition.TrimTo.
func (b *Broker) DeleteRecords(ctx context.Context, _ *Session, parts []TrimPartition) []TrimResult {
	results := make([]TrimResult, len(parts))
	type waiting struct {
		at   int
		p    *partition.Partition
		trim partition.Trim
	}
	var begun []waiting // so that the followers of all of them are waited for at once
	find := lookup{replicas: b.opts.Replicas}
	for i := range parts {
		at, r := &parts[i], &results[i]
		r.LowWatermark = kafka.NoOffset
		t, p, err := find.find(at.Topic, kafka.UUID{}, at.Partition)
		switch {
		case err != nil:
			r.Err = err
		case t.Internal:
			r.Err = kafka.Errorf(kafka.InvalidTopicException, "records of internal topic %s cannot be deleted", at.Topic)
		default:
			var trim partition.Trim
			if trim, r.Err = p.Trim(ctx, at.Before); r.Err == nil {
				begun = append(begun, waiting{i, p, trim})
			}
		}
	}
	for _, w := range begun {
		results[w.at].LowWatermark, results[w.at].Err = w.p.AwaitTrim(ctx, w.trim)
	}
	return results
}
