package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DeleteRecords: v0-2
//
// Behaviour: everything below an offset goes (-1: up to the high watermark); the answer has the new log start.
// v2 flexible
// Left out: nothing.
func deleteRecords(ctx context.Context, r *request, q *kmsg.DeleteRecordsRequest, a *kmsg.DeleteRecordsResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	var asks []broker.TrimPartition
	var places []*kmsg.DeleteRecordsResponseTopicPartition
	a.Topics = make([]kmsg.DeleteRecordsResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		a.Topics[i].Topic = t.Topic
		a.Topics[i].Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			place := &a.Topics[i].Partitions[j]
			place.Default()
			place.Partition, place.LowWatermark = t.Partitions[j].Partition, -1
			asks = append(asks, broker.TrimPartition{Topic: t.Topic, Partition: place.Partition, Before: kafka.Offset(t.Partitions[j].Offset)})
			places = append(places, place)
		}
	}
	if len(asks) == 0 {
		return
	}
	results := r.conn.srv.broker.DeleteRecords(ctx, r.session, asks)
	for i := range min(len(results), len(places)) {
		if err := results[i].Err; err != nil {
			places[i].ErrorCode = int16(kafka.CodeOf(err))
			continue
		}
		places[i].LowWatermark = int64(results[i].LowWatermark)
	}
}
