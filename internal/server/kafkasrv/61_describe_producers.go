package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeProducers: v0
//
// Behaviour: the producers whose state a partition keeps (KIP-664), of followers too. A partition named twice is told once.
// Left out: nothing.
func describeProducers(_ context.Context, r *request, q *kmsg.DescribeProducersRequest, a *kmsg.DescribeProducersResponse) {
	told := make(map[kafka.TopicPartition]bool, r.content.Elements)
	for i := range q.Topics {
		t := kmsg.NewDescribeProducersResponseTopic()
		t.Topic = q.Topics[i].Topic
		for _, partition := range q.Topics[i].Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: partition}
			if told[tp] {
				continue
			}
			told[tp] = true
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			p.Partition = partition
			producers, err := r.conn.srv.broker.DescribeProducers(r.session, tp)
			p.ErrorCode, p.ErrorMessage = codeAndMessage(err)
			for _, state := range producers {
				m := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
				m.ProducerID, m.ProducerEpoch = int64(state.ID), int32(state.Epoch)
				m.LastSequence, m.LastTimestamp = int32(state.LastSequence), int64(state.LastTimestamp)
				m.CoordinatorEpoch, m.CurrentTxnStartOffset = state.Coordinator, int64(state.TxnStart)
				p.ActiveProducers = append(p.ActiveProducers, m)
			}
			t.Partitions = append(t.Partitions, p)
		}
		a.Topics = append(a.Topics, t)
	}
}
