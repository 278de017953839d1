package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// States is the share coordinator of this node as a Persister. The partitions of a request that belong to one shard are one operation, up to
// statesTogether of them.
type States struct {
	runtime *coordinator.Runtime[*share.Shard]
	create  func(ctx context.Context) error
}

const statesTogether = 100

var _ Persister = (*States)(nil)

// NewStates returns the Persister over a runtime. create makes the topic __share_group_state, which the first use does.
func NewStates(runtime *coordinator.Runtime[*share.Shard], create func(ctx context.Context) error) *States {
	return &States{runtime, create}
}

// shardOf is the partition of the topic that a share partition belongs to, once its shard serves.
func (s *States) shardOf(ctx context.Context, group string, topic kafka.UUID, partition int32) (int32, error) {
	key := share.CoordinatorKey(group, topic, partition)
	i, err := s.runtime.PartitionOf(key)
	if err != nil {
		if err = s.create(ctx); err != nil {
			return 0, err
		}
		if i, err = s.runtime.PartitionOf(key); err != nil {
			return 0, err
		}
	}
	return i, s.runtime.Ready(ctx, i)
}

// asked is one share partition of a request, and answered what became of it.
type asked[Q any] struct {
	topic kafka.UUID
	q     *Q
}

type answered[A any] struct {
	a   A
	err error
}

// askStates runs fn for each share partition in the shard that it belongs to. The answers come in the order of all.
func askStates[Q, A any](ctx context.Context, s *States, group string, all []asked[Q], partitionOf func(*Q) int32, fn func(*share.Shard, *coordinator.Op, asked[Q]) A) []answered[A] {
	answers := make([]answered[A], len(all))
	shards := map[int32][]int{}
	for i := range all {
		shard, err := s.shardOf(ctx, group, all[i].topic, partitionOf(all[i].q))
		if answers[i].err = inTime(ctx, err); err == nil {
			shards[shard] = append(shards[shard], i)
		}
	}
	for shard, which := range shards {
		for len(which) > 0 {
			now := which[:min(len(which), statesTogether)]
			which = which[len(now):]
			got, err := coordinator.AskPartition(ctx, s.runtime, shard, func(sh *share.Shard, op *coordinator.Op) []A {
				got := make([]A, len(now))
				for i, at := range now {
					got[i] = fn(sh, op, all[at])
				}
				return got
			})
			for i, at := range now {
				if answers[at].err = inTime(ctx, err); err == nil {
					answers[at].a = got[i]
				}
			}
		}
	}
	return answers
}

// inTime gives an error that is only that ctx ended a code.
func inTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return kafka.Errorf(kafka.RequestTimedOut, "the share coordinator did not answer in time: %w", err)
	}
	return err
}

// InitializeShareGroupState implements Persister.
func (s *States) InitializeShareGroupState(ctx context.Context, req *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse {
	var all []asked[kmsg.InitializeShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			all = append(all, asked[kmsg.InitializeShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, &req.Topics[i].Partitions[j]})
		}
	}
	answers := askStates(ctx, s, req.GroupID, all, func(q *kmsg.InitializeShareGroupStateRequestTopicPartition) int32 { return q.Partition },
		func(sh *share.Shard, op *coordinator.Op, one asked[kmsg.InitializeShareGroupStateRequestTopicPartition]) kmsg.InitializeShareGroupStateResponseTopicPartition {
			return sh.Initialize(op, req.GroupID, one.topic, one.q)
		})
	resp := kmsg.NewPtrInitializeShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		topic := kmsg.InitializeShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID}
		for j := range req.Topics[i].Partitions {
			one := answers[0]
			answers = answers[1:]
			if one.err != nil {
				one.a.Partition = req.Topics[i].Partitions[j].Partition
				one.a.ErrorCode, one.a.ErrorMessage = codeAndMessage(one.err)
			}
			topic.Partitions = append(topic.Partitions, one.a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// ReadShareGroupState implements Persister.
func (s *States) ReadShareGroupState(ctx context.Context, req *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	var all []asked[kmsg.ReadShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			all = append(all, asked[kmsg.ReadShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, &req.Topics[i].Partitions[j]})
		}
	}
	answers := askStates(ctx, s, req.GroupID, all, func(q *kmsg.ReadShareGroupStateRequestTopicPartition) int32 { return q.Partition },
		func(sh *share.Shard, op *coordinator.Op, one asked[kmsg.ReadShareGroupStateRequestTopicPartition]) kmsg.ReadShareGroupStateResponseTopicPartition {
			return sh.Read(op, req.GroupID, one.topic, one.q)
		})
	resp := kmsg.NewPtrReadShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		topic := kmsg.ReadShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID}
		for j := range req.Topics[i].Partitions {
			one := answers[0]
			answers = answers[1:]
			if one.err != nil {
				one.a.Partition = req.Topics[i].Partitions[j].Partition
				one.a.ErrorCode, one.a.ErrorMessage = codeAndMessage(one.err)
			}
			topic.Partitions = append(topic.Partitions, one.a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// WriteShareGroupState implements Persister.
func (s *States) WriteShareGroupState(ctx context.Context, req *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse {
	var all []asked[kmsg.WriteShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			all = append(all, asked[kmsg.WriteShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, &req.Topics[i].Partitions[j]})
		}
	}
	answers := askStates(ctx, s, req.GroupID, all, func(q *kmsg.WriteShareGroupStateRequestTopicPartition) int32 { return q.Partition },
		func(sh *share.Shard, op *coordinator.Op, one asked[kmsg.WriteShareGroupStateRequestTopicPartition]) kmsg.WriteShareGroupStateResponseTopicPartition {
			return sh.Write(op, req.GroupID, one.topic, one.q)
		})
	resp := kmsg.NewPtrWriteShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		topic := kmsg.WriteShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID}
		for j := range req.Topics[i].Partitions {
			one := answers[0]
			answers = answers[1:]
			if one.err != nil {
				one.a.Partition = req.Topics[i].Partitions[j].Partition
				one.a.ErrorCode, one.a.ErrorMessage = codeAndMessage(one.err)
			}
			topic.Partitions = append(topic.Partitions, one.a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// DeleteShareGroupState implements Persister.
func (s *States) DeleteShareGroupState(ctx context.Context, req *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse {
	var all []asked[kmsg.DeleteShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			all = append(all, asked[kmsg.DeleteShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, &req.Topics[i].Partitions[j]})
		}
	}
	answers := askStates(ctx, s, req.GroupID, all, func(q *kmsg.DeleteShareGroupStateRequestTopicPartition) int32 { return q.Partition },
		func(sh *share.Shard, op *coordinator.Op, one asked[kmsg.DeleteShareGroupStateRequestTopicPartition]) kmsg.DeleteShareGroupStateResponseTopicPartition {
			return sh.Delete(op, req.GroupID, one.topic, one.q)
		})
	resp := kmsg.NewPtrDeleteShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		topic := kmsg.DeleteShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID}
		for j := range req.Topics[i].Partitions {
			one := answers[0]
			answers = answers[1:]
			if one.err != nil {
				one.a.Partition = req.Topics[i].Partitions[j].Partition
				one.a.ErrorCode, one.a.ErrorMessage = codeAndMessage(one.err)
			}
			topic.Partitions = append(topic.Partitions, one.a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// ReadShareGroupStateSummary implements Persister. It looks at what is committed and waits for nothing but a shard that is being loaded.
func (s *States) ReadShareGroupStateSummary(ctx context.Context, req *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse {
	resp := kmsg.NewPtrReadShareGroupStateSummaryResponse()
	resp.Version = req.Version
	for _, t := range req.Topics {
		topic := kmsg.ReadShareGroupStateSummaryResponseTopic{TopicID: t.TopicID}
		for i := range t.Partitions {
			q := &t.Partitions[i]
			var a kmsg.ReadShareGroupStateSummaryResponseTopicPartition
			_, err := s.shardOf(ctx, req.GroupID, t.TopicID, q.Partition)
			if err == nil {
				a, err = coordinator.Read(s.runtime, share.CoordinatorKey(req.GroupID, t.TopicID, q.Partition), func(sh *share.Shard, v coordinator.View) kmsg.ReadShareGroupStateSummaryResponseTopicPartition {
					return sh.Summary(v, req.GroupID, t.TopicID, q)
				})
			}
			if err = inTime(ctx, err); err != nil {
				a.Partition, a.DeliveryCompleteCount = q.Partition, -1
				a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
			}
			topic.Partitions = append(topic.Partitions, a)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
