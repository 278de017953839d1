package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// statePatience is how long a share coordinator that is being loaded, or whose log is not replicated, is waited for: who asked does not wait longer
// (share.coordinator.write.timeout.ms).
const statePatience = 5 * time.Second

// InitializeShareGroupState begins the states of share partitions. Brokers ask it, and the four that follow, of the share coordinator; as in Kafka
// anybody may who is let.
func (b *Broker) InitializeShareGroupState(ctx context.Context, _ *Session, q *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse {
	if b.opts.Queues != nil {
		ctx, cancel := context.WithTimeout(ctx, statePatience)
		defer cancel()
		return b.opts.Queues.Persister().InitializeShareGroupState(ctx, q)
	}
	resp := &kmsg.InitializeShareGroupStateResponse{Version: q.Version}
	for _, t := range q.Topics {
		topic := kmsg.InitializeShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.InitializeShareGroupStateResponseTopicPartition{Partition: p.Partition, ErrorCode: noQueues})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// ReadShareGroupState reads the states of share partitions for their leader.
func (b *Broker) ReadShareGroupState(ctx context.Context, _ *Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	if b.opts.Queues != nil {
		ctx, cancel := context.WithTimeout(ctx, statePatience)
		defer cancel()
		return b.opts.Queues.Persister().ReadShareGroupState(ctx, q)
	}
	resp := &kmsg.ReadShareGroupStateResponse{Version: q.Version}
	for _, t := range q.Topics {
		topic := kmsg.ReadShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.ReadShareGroupStateResponseTopicPartition{Partition: p.Partition, ErrorCode: noQueues})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// WriteShareGroupState writes changes of the states of share partitions, durably.
func (b *Broker) WriteShareGroupState(ctx context.Context, _ *Session, q *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse {
	if b.opts.Queues != nil {
		ctx, cancel := context.WithTimeout(ctx, statePatience)
		defer cancel()
		return b.opts.Queues.Persister().WriteShareGroupState(ctx, q)
	}
	resp := &kmsg.WriteShareGroupStateResponse{Version: q.Version}
	for _, t := range q.Topics {
		topic := kmsg.WriteShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.WriteShareGroupStateResponseTopicPartition{Partition: p.Partition, ErrorCode: noQueues})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// DeleteShareGroupState removes the states of share partitions.
func (b *Broker) DeleteShareGroupState(ctx context.Context, _ *Session, q *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse {
	if b.opts.Queues != nil {
		ctx, cancel := context.WithTimeout(ctx, statePatience)
		defer cancel()
		return b.opts.Queues.Persister().DeleteShareGroupState(ctx, q)
	}
	resp := &kmsg.DeleteShareGroupStateResponse{Version: q.Version}
	for _, t := range q.Topics {
		topic := kmsg.DeleteShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.DeleteShareGroupStateResponseTopicPartition{Partition: p.Partition, ErrorCode: noQueues})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// ReadShareGroupStateSummary says where share partitions begin and how much of them is dealt with.
func (b *Broker) ReadShareGroupStateSummary(ctx context.Context, _ *Session, q *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse {
	if b.opts.Queues != nil {
		ctx, cancel := context.WithTimeout(ctx, statePatience)
		defer cancel()
		return b.opts.Queues.Persister().ReadShareGroupStateSummary(ctx, q)
	}
	resp := &kmsg.ReadShareGroupStateSummaryResponse{Version: q.Version}
	for _, t := range q.Topics {
		topic := kmsg.ReadShareGroupStateSummaryResponseTopic{TopicID: t.TopicID}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.ReadShareGroupStateSummaryResponseTopicPartition{Partition: p.Partition, ErrorCode: noQueues})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
