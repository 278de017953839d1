package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// topicIDs is the first version of OffsetCommit and of OffsetFetch that names topics by id.
const topicIDs = 10

// OffsetCommit stores offsets of a group, whichever kind it is. Partitions fail on their own (BRK-1).
func (b *Broker) OffsetCommit(ctx context.Context, s *Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	a, code := askGroup(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.OffsetCommitResponse {
		return g.OffsetCommit(op, clientOf(s), q)
	})
	if code == kafka.None {
		if q.Version >= topicIDs {
			refuseNoID(a)
		}
		return a
	}
	a = kmsg.NewPtrOffsetCommitResponse()
	for i := range q.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic, t.TopicID = q.Topics[i].Topic, q.Topics[i].TopicID
		for _, p := range q.Topics[i].Partitions {
			t.Partitions = append(t.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(code)})
		}
		a.Topics = append(a.Topics, t)
	}
	return a
}

// refuseNoID gives topics without an id the error that they have where topics have no other name.
func refuseNoID(a *kmsg.OffsetCommitResponse) {
	for i := range a.Topics {
		if t := &a.Topics[i]; t.TopicID == (kafka.UUID{}) {
			for j := range t.Partitions {
				t.Partitions[j].ErrorCode = int16(kafka.UnknownTopicID)
			}
		}
	}
}

// OffsetFetch reads the committed offsets of the groups in q.Groups; null topics are all of a group. Each group has its own error (BRK-1).
func (b *Broker) OffsetFetch(_ context.Context, _ *Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	a := kmsg.NewPtrOffsetFetchResponse()
	for i := range q.Groups {
		asked := &q.Groups[i]
		g, code := readGroup(b, asked.Group, func(s *group.Shard, v coordinator.View) kmsg.OffsetFetchResponseGroup {
			return s.OffsetFetch(v, asked, q.RequireStable)
		})
		if code != kafka.None {
			g = kmsg.NewOffsetFetchResponseGroup()
			g.Group, g.ErrorCode = asked.Group, int16(code)
		}
		if q.Version >= topicIDs && asked.Topics == nil {
			// A topic that is gone has no name that the client understands.
			g.Topics = slices.DeleteFunc(g.Topics, func(t kmsg.OffsetFetchResponseGroupTopic) bool { return t.TopicID == kafka.UUID{} })
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

// OffsetDelete removes committed offsets. Partitions that do not exist fail on their own (BRK-1).
func (b *Broker) OffsetDelete(ctx context.Context, _ *Session, q *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	img := b.Image()
	known := *q
	known.Topics = nil
	var unknown []kmsg.OffsetDeleteResponseTopic
	for _, t := range q.Topics {
		told := kmsg.NewOffsetDeleteResponseTopic()
		told.Topic = t.Topic
		t.Partitions = slices.DeleteFunc(slices.Clone(t.Partitions), func(p kmsg.OffsetDeleteRequestTopicPartition) bool {
			_, _, ok := img.Partition(kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition})
			if !ok {
				told.Partitions = append(told.Partitions, kmsg.OffsetDeleteResponseTopicPartition{Partition: p.Partition, ErrorCode: int16(kafka.UnknownTopicOrPartition)})
			}
			return !ok
		})
		if len(t.Partitions) > 0 {
			known.Topics = append(known.Topics, t)
		}
		if len(told.Partitions) > 0 {
			unknown = append(unknown, told)
		}
	}
	a, code := askGroup(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.OffsetDeleteResponse {
		return g.OffsetDelete(op, &known)
	})
	if code != kafka.None {
		a = kmsg.NewPtrOffsetDeleteResponse()
		a.ErrorCode = int16(code)
	}
	if a.ErrorCode == 0 {
		a.Topics = together(append(a.Topics, unknown...))
	}
	return a
}

// together makes one entry of each topic.
func together(topics []kmsg.OffsetDeleteResponseTopic) []kmsg.OffsetDeleteResponseTopic {
	at := map[string]int{}
	merged := topics[:0]
	for _, t := range topics {
		i, seen := at[t.Topic]
		if !seen {
			at[t.Topic] = len(merged)
			merged = append(merged, t)
			continue
		}
		merged[i].Partitions = append(merged[i].Partitions, t.Partitions...)
	}
	return merged
}
