package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/txnmarker"
)

// WriteTxnMarkers ends transactions in partitions of this node: a coordinator on another node does so, and operators end those that no
// coordinator will (KIP-664). It returns when the markers are committed. Per partition: what txnmarker.Local says.
func (b *Broker) WriteTxnMarkers(ctx context.Context, _ *Session, q *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
	markers := make([]txnmarker.Marker, len(q.Markers))
	for i := range q.Markers {
		m := &q.Markers[i]
		markers[i] = txnmarker.Marker{
			Producer:         coordinator.Producer{ID: kafka.ProducerID(m.ProducerID), Epoch: kafka.ProducerEpoch(m.ProducerEpoch)},
			CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed, Version: int16(m.TransactionVersion),
		}
		for t := range m.Topics {
			for _, n := range m.Topics[t].Partitions {
				markers[i].Partitions = append(markers[i].Partitions, kafka.TopicPartition{Topic: m.Topics[t].Topic, Partition: n})
			}
		}
	}
	var results [][]error
	if b.opts.Markers != nil {
		results = b.opts.Markers.Write(ctx, markers)
	}
	a := kmsg.NewPtrWriteTxnMarkersResponse()
	for i := range q.Markers {
		var errs []error
		if results != nil {
			errs = results[i]
		}
		a.Markers = append(a.Markers, markerAnswer(&q.Markers[i], errs))
	}
	return a
}

// markerAnswer answers for one marker; errs has one for each of its partitions, or is nil if there is nobody who writes markers.
func markerAnswer(m *kmsg.WriteTxnMarkersRequestMarker, errs []error) kmsg.WriteTxnMarkersResponseMarker {
	a := kmsg.NewWriteTxnMarkersResponseMarker()
	a.ProducerID = m.ProducerID
	next := 0
	for i := range m.Topics {
		topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
		topic.Topic = m.Topics[i].Topic
		for _, n := range m.Topics[i].Partitions {
			p := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
			p.Partition, p.ErrorCode = n, int16(kafka.UnknownTopicOrPartition)
			if errs != nil {
				p.ErrorCode = int16(kafka.CodeOf(errs[next]))
			}
			next++
			topic.Partitions = append(topic.Partitions, p)
		}
		a.Topics = append(a.Topics, topic)
	}
	return a
}
