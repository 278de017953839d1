package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ListPartitionReassignments: v0
//
// Behaviour: the partitions whose replicas are changing, of those named or, if topics are null, of all, from this broker's image. What is not
// changing, or does not exist, is not in the answer.
// Left out: nothing. The throttle time is 0.
func listReassignments(_ context.Context, r *request, q *kmsg.ListPartitionReassignmentsRequest, a *kmsg.ListPartitionReassignmentsResponse) {
	var named map[kafka.TopicPartition]bool
	if q.Topics != nil {
		named = map[kafka.TopicPartition]bool{}
	}
	for i := range q.Topics {
		for _, p := range q.Topics[i].Partitions {
			named[kafka.TopicPartition{Topic: q.Topics[i].Topic, Partition: p}] = true
		}
	}
	for _, p := range r.conn.srv.broker.Reassigning(r.session) {
		if q.Topics == nil || named[p.TopicPartition] {
			addReassigning(a, &p)
		}
	}
}

// addReassigning adds a partition, with its topic if that is not the last one.
func addReassigning(a *kmsg.ListPartitionReassignmentsResponse, p *broker.ReassigningPartition) {
	if n := len(a.Topics); n == 0 || a.Topics[n-1].Topic != p.Topic {
		t := kmsg.NewListPartitionReassignmentsResponseTopic()
		t.Topic = p.Topic
		a.Topics = append(a.Topics, t)
	}
	m := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
	m.Partition, m.Replicas, m.AddingReplicas, m.RemovingReplicas = p.Partition, ids(p.Replicas), ids(p.Adding), ids(p.Removing)
	t := &a.Topics[len(a.Topics)-1]
	t.Partitions = append(t.Partitions, m)
}
