package kafkasrv

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ListOffsets: v1-11
//
// Behaviour: the broker looks up each partition's offset for a time, or for one of the negative times that have a meaning, which grew with
// the versions: -1 latest, -2 earliest, v7 -3 of the largest timestamp, v8 -4 earliest local, v9 -5 latest tiered, v11 -6 earliest not yet
// tiered. A partition named twice is INVALID_REQUEST both times.
// v2 isolation · v4 leader epochs · v5 OFFSET_NOT_AVAILABLE · v6 flexible · v10 timeout
// Left out: nothing.
func listOffsets(ctx context.Context, r *request, q *kmsg.ListOffsetsRequest, a *kmsg.ListOffsetsResponse) {
	if r.version >= 10 && q.TimeoutMillis > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(q.TimeoutMillis)*time.Millisecond)
		defer cancel()
	}
	named := map[kafka.TopicPartition]int{}
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			named[kafka.TopicPartition{Topic: q.Topics[i].Topic, Partition: q.Topics[i].Partitions[j].Partition}]++
		}
	}
	var asks []broker.ListOffsetsPartition
	var places []*kmsg.ListOffsetsResponseTopicPartition
	a.Topics = make([]kmsg.ListOffsetsResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		a.Topics[i].Topic = t.Topic
		a.Topics[i].Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			p, place := &t.Partitions[j], &a.Topics[i].Partitions[j]
			place.Default()
			place.Partition = p.Partition
			switch {
			case named[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] > 1:
				place.ErrorCode = int16(kafka.InvalidRequest)
			case !r.knowsTimestamp(p.Timestamp):
				place.ErrorCode = int16(kafka.UnsupportedVersion)
			default:
				asks = append(asks, broker.ListOffsetsPartition{
					Topic: t.Topic, Partition: p.Partition, LeaderEpoch: kafka.LeaderEpoch(p.CurrentLeaderEpoch), Timestamp: p.Timestamp,
				})
				places = append(places, place)
			}
		}
	}
	if len(asks) == 0 {
		return
	}
	results := r.conn.srv.broker.ListOffsets(ctx, r.session, kafka.BrokerID(q.ReplicaID), broker.Isolation(q.IsolationLevel), asks)
	for i := range min(len(results), len(places)) {
		res, place := &results[i], places[i]
		if res.Err != nil {
			place.ErrorCode = int16(kafka.CodeOf(res.Err))
			if r.version < 5 && place.ErrorCode == int16(kafka.OffsetNotAvailable) {
				place.ErrorCode = int16(kafka.LeaderNotAvailable)
			}
			continue
		}
		place.Timestamp, place.Offset, place.LeaderEpoch = int64(res.Timestamp), int64(res.Offset), int32(res.LeaderEpoch)
	}
}

// knowsTimestamp reports whether this version has that negative timestamp.
func (r *request) knowsTimestamp(ts int64) bool {
	switch {
	case ts >= -2:
		return true
	case ts == -3:
		return r.version >= 7
	case ts == -4:
		return r.version >= 8
	case ts == -5:
		return r.version >= 9
	case ts == -6:
		return r.version >= 11
	}
	return false
}
