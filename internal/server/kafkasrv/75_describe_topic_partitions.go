package kafkasrv

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxDescribedPartitions is how many partitions one answer has at most, whatever the client asks (max.request.partition.size.limit).
const maxDescribedPartitions = 2000

// DescribeTopicPartitions: v0
//
// Behaviour: topics by name in order, no list meaning all of them, up to the limit; then a cursor says where to go on. A cursor whose topic
// is gone goes on behind it. Nothing is created. Eligible leader replicas are those of KIP-966; who was one before an unclean election is not
// remembered.
// Left out: nothing.
func describeTopicPartitions(_ context.Context, r *request, q *kmsg.DescribeTopicPartitionsRequest, a *kmsg.DescribeTopicPartitionsResponse) {
	img := r.conn.srv.broker.Image()
	var names []string
	for i := range q.Topics {
		names = append(names, q.Topics[i].Topic)
	}
	if len(q.Topics) == 0 {
		for t := range img.Topics.All() {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	first := int32(0)
	if c := q.Cursor; c != nil {
		at, found := slices.BinarySearch(names, c.Topic)
		if names = names[at:]; found {
			first = max(c.Partition, 0)
		}
	}
	to := r.reachable(img)
	left := maxDescribedPartitions
	if q.ResponsePartitionLimit > 0 {
		left = min(left, int(q.ResponsePartitionLimit))
	}
	for _, name := range names {
		t := img.Topics.ByName(name)
		m := kmsg.NewDescribeTopicPartitionsResponseTopic()
		m.Topic = kmsg.StringPtr(name)
		if left <= 0 {
			a.NextCursor = cursorAt(name, first)
			return
		}
		if t == nil {
			m.ErrorCode = int16(kafka.UnknownTopicOrPartition)
			if !validTopicName(name) {
				m.ErrorCode = int16(kafka.InvalidTopicException)
			}
			a.Topics = append(a.Topics, m)
			continue
		}
		m.TopicID, m.IsInternal, m.AuthorizedOperations = t.ID, t.Internal, topicOperations
		end := min(int(first)+left, len(t.Partitions))
		for i := min(int(first), end); i < end; i++ {
			m.Partitions = append(m.Partitions, describePartition(to, t, i))
		}
		left -= len(m.Partitions)
		a.Topics = append(a.Topics, m)
		if end < len(t.Partitions) {
			a.NextCursor = cursorAt(name, int32(end))
			return
		}
		first = 0
	}
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}

func describePartition(to reachable, t *metadata.Topic, i int) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	p := &t.Partitions[i]
	m := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	leader, _ := to.leader(p) // that there is none is no error here, as in Kafka
	m.Partition, m.LeaderID, m.LeaderEpoch = int32(i), int32(leader), int32(p.LeaderEpoch)
	m.Replicas, m.ISR, m.OfflineReplicas = ids(p.Replicas), ids(p.ISR), to.offline(p.Replicas)
	m.EligibleLeaderReplicas, m.LastKnownELR = ids(p.ELR), []int32{}
	return m
}

// describeTopicPartitionsCost counts the names that have to be sorted and a full answer.
func describeTopicPartitionsCost(r *request) int64 {
	return int64(r.conn.srv.broker.Image().Topics.Len())*32 + int64(r.content.Elements)*metadataTopicCost + maxDescribedPartitions*metadataPartitionCost
}
