package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ElectLeaders: v0-2
//
// Behaviour: has partitions led by their preferred replica, or, if that is asked for, by any live one where nothing else is left. Null topics mean
// all partitions; then those that need no election are not in the answer. It comes when this broker knows the new leaders.
// v1 kinds of elections, an error of the whole answer · v2 flexible
// Left out: nothing. The throttle time is 0.
func electLeaders(ctx context.Context, r *request, q *kmsg.ElectLeadersRequest, a *kmsg.ElectLeadersResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	kind := broker.PreferredElection
	if r.version >= 1 {
		kind = q.ElectionType
	}
	var partitions []kafka.TopicPartition
	if q.Topics != nil {
		partitions = []kafka.TopicPartition{}
	}
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			partitions = append(partitions, kafka.TopicPartition{Topic: q.Topics[i].Topic, Partition: p})
		}
	}
	elected, err := r.conn.srv.broker.ElectLeaders(ctx, r.session, kind, partitions)
	if err != nil {
		a.ErrorCode = int16(kafka.CodeOf(err))
		elected = nil
		if r.version == 0 { // which has no error of the whole answer
			for _, p := range partitions {
				elected = append(elected, broker.ElectedPartition{TopicPartition: p, Err: err})
			}
		}
	}
	for i := range elected {
		e := &elected[i]
		if n := len(a.Topics); n == 0 || a.Topics[n-1].Topic != e.Topic {
			t := kmsg.NewElectLeadersResponseTopic()
			t.Topic = e.Topic
			a.Topics = append(a.Topics, t)
		}
		p := kmsg.NewElectLeadersResponseTopicPartition()
		p.Partition = e.Partition
		p.ErrorCode, p.ErrorMessage = codeAndMessage(e.Err)
		t := &a.Topics[len(a.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
}
