package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// CreatePartitions: v0-3
//
// Behaviour: raises the number of partitions of topics; answered when this broker serves them. A topic named twice is INVALID_REQUEST both
// times.
// v2 flexible
// Left out: nothing.
func createPartitions(ctx context.Context, r *request, q *kmsg.CreatePartitionsRequest, a *kmsg.CreatePartitionsResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	named := map[string]int{}
	for i := range q.Topics {
		named[q.Topics[i].Topic]++
	}
	var wanted []broker.MorePartitions
	var places []int
	a.Topics = make([]kmsg.CreatePartitionsResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t, place := &q.Topics[i], &a.Topics[i]
		place.Default()
		place.Topic = t.Topic
		if named[t.Topic] > 1 {
			place.ErrorCode, place.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.InvalidRequest, "topic %q is named more than once in the request", t.Topic))
			continue
		}
		more := broker.MorePartitions{Topic: t.Topic, Total: t.Count}
		for j := range t.Assignment {
			more.Assignment = append(more.Assignment, brokerIDs(t.Assignment[j].Replicas))
		}
		wanted, places = append(wanted, more), append(places, i)
	}
	if len(wanted) == 0 {
		return
	}
	for i, err := range r.conn.srv.broker.CreatePartitions(ctx, r.session, wanted, q.ValidateOnly) {
		a.Topics[places[i]].ErrorCode, a.Topics[places[i]].ErrorMessage = codeAndMessage(err)
	}
}
