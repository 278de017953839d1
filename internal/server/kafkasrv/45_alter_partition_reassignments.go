package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// AlterPartitionReassignments: v0-1
//
// Behaviour: begins to move partitions to other replicas; null replicas stop a move and go back. It answers when that is decided, not when the
// data has moved: ListPartitionReassignments tells that. Each partition succeeds or fails on its own.
// v1 whether the number of replicas may change
// Left out: nothing. The throttle time is 0.
func alterReassignments(ctx context.Context, r *request, q *kmsg.AlterPartitionAssignmentsRequest, a *kmsg.AlterPartitionAssignmentsResponse) {
	ctx, cancel := withTimeout(ctx, q.TimeoutMillis)
	defer cancel()
	var list []broker.Reassignment
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			one := broker.Reassignment{TopicPartition: kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}}
			if p.Replicas != nil {
				one.Replicas = brokerIDs(p.Replicas)
			}
			list = append(list, one)
		}
	}
	a.AllowReplicationFactorChange = r.version < 1 || q.AllowReplicationFactorChange
	var errs []error
	if len(list) > 0 {
		errs = r.conn.srv.broker.AlterReassignments(ctx, r.session, list, a.AllowReplicationFactorChange)
	}
	a.Topics = make([]kmsg.AlterPartitionAssignmentsResponseTopic, len(q.Topics))
	for i := range q.Topics {
		t := &q.Topics[i]
		a.Topics[i].Topic = t.Topic
		a.Topics[i].Partitions = make([]kmsg.AlterPartitionAssignmentsResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			place := &a.Topics[i].Partitions[j]
			place.Default()
			place.Partition = t.Partitions[j].Partition
			place.ErrorCode, place.ErrorMessage = codeAndMessage(errs[0])
			errs = errs[1:]
		}
	}
}
