package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// OffsetForLeaderEpoch: v2-4
//
// Behaviour: the end offset of a leader epoch, by which clients and followers see whether their log diverges (KIP-320).
// v3 replica id · v4 flexible
// Left out: nothing.
func offsetForLeaderEpoch(_ context.Context, r *request, q *kmsg.OffsetForLeaderEpochRequest, a *kmsg.OffsetForLeaderEpochResponse) {
	replica := kafka.NoBroker
	if r.version >= 3 {
		replica = kafka.BrokerID(q.ReplicaID)
	}
	var asks []broker.EpochQuery
	var places []*kmsg.OffsetForLeaderEpochResponseTopicPartition
	a.Topics = make([]kmsg.OffsetForLeaderEpochResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		a.Topics[i].Topic = t.Topic
		a.Topics[i].Partitions = make([]kmsg.OffsetForLeaderEpochResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			p, place := &t.Partitions[j], &a.Topics[i].Partitions[j]
			place.Default()
			place.Partition = p.Partition
			asks = append(asks, broker.EpochQuery{
				Topic: t.Topic, Partition: p.Partition,
				CurrentEpoch: kafka.LeaderEpoch(p.CurrentLeaderEpoch), Epoch: kafka.LeaderEpoch(p.LeaderEpoch),
			})
			places = append(places, place)
		}
	}
	if len(asks) == 0 {
		return
	}
	results := r.conn.srv.broker.OffsetForLeaderEpoch(r.session, replica, asks)
	for i := range min(len(results), len(places)) {
		if err := results[i].Err; err != nil {
			places[i].ErrorCode = int16(kafka.CodeOf(err))
			continue
		}
		places[i].LeaderEpoch, places[i].EndOffset = int32(results[i].Epoch), int64(results[i].End)
	}
}
