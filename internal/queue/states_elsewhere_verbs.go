package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Each verb takes its request apart into items, has them asked everywhere, and puts the answers together in the order of the request.

// InitializeShareGroupState implements Persister.
func (s *ClusterStates) InitializeShareGroupState(ctx context.Context, req *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse {
	var items []item[kmsg.InitializeShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for _, q := range req.Topics[i].Partitions {
			items = append(items, item[kmsg.InitializeShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, q})
		}
	}
	answers := everywhere(ctx, s, req.GroupID, items, &initializeVerb)
	resp := kmsg.NewPtrInitializeShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		n := len(req.Topics[i].Partitions)
		resp.Topics = append(resp.Topics, kmsg.InitializeShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID, Partitions: answers[:n:n]})
		answers = answers[n:]
	}
	return resp
}

var initializeVerb = stateVerb[kmsg.InitializeShareGroupStateRequestTopicPartition, kmsg.InitializeShareGroupStateResponseTopicPartition]{
	partition: func(q *kmsg.InitializeShareGroupStateRequestTopicPartition) int32 { return q.Partition },
	answered: func(a *kmsg.InitializeShareGroupStateResponseTopicPartition) (int32, kafka.ErrorCode) {
		return a.Partition, kafka.ErrorCode(a.ErrorCode)
	},
	refuse: func(q *kmsg.InitializeShareGroupStateRequestTopicPartition, err error) (a kmsg.InitializeShareGroupStateResponseTopicPartition) {
		a.Partition = q.Partition
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return a
	},
	ask: func(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[kmsg.InitializeShareGroupStateRequestTopicPartition]) (answers []kmsg.InitializeShareGroupStateResponseTopicPartition, err error) {
		req := kmsg.NewPtrInitializeShareGroupStateRequest()
		req.GroupID = group
		for i := range items {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != items[i].topic {
				req.Topics = append(req.Topics, kmsg.InitializeShareGroupStateRequestTopic{TopicID: items[i].topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, items[i].q)
		}
		resp, err := askKeeper(ctx, s, broker, req, s.opts.Local.InitializeShareGroupState)
		if err != nil {
			return nil, err
		}
		for i := range resp.Topics {
			answers = append(answers, resp.Topics[i].Partitions...)
		}
		return answers, nil
	},
}

// ReadShareGroupState implements Persister.
func (s *ClusterStates) ReadShareGroupState(ctx context.Context, req *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	var items []item[kmsg.ReadShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for _, q := range req.Topics[i].Partitions {
			items = append(items, item[kmsg.ReadShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, q})
		}
	}
	answers := everywhere(ctx, s, req.GroupID, items, &readVerb)
	resp := kmsg.NewPtrReadShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		n := len(req.Topics[i].Partitions)
		resp.Topics = append(resp.Topics, kmsg.ReadShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID, Partitions: answers[:n:n]})
		answers = answers[n:]
	}
	return resp
}

var readVerb = stateVerb[kmsg.ReadShareGroupStateRequestTopicPartition, kmsg.ReadShareGroupStateResponseTopicPartition]{
	partition: func(q *kmsg.ReadShareGroupStateRequestTopicPartition) int32 { return q.Partition },
	answered: func(a *kmsg.ReadShareGroupStateResponseTopicPartition) (int32, kafka.ErrorCode) {
		return a.Partition, kafka.ErrorCode(a.ErrorCode)
	},
	refuse: func(q *kmsg.ReadShareGroupStateRequestTopicPartition, err error) (a kmsg.ReadShareGroupStateResponseTopicPartition) {
		a.Partition = q.Partition
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return a
	},
	ask: func(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[kmsg.ReadShareGroupStateRequestTopicPartition]) (answers []kmsg.ReadShareGroupStateResponseTopicPartition, err error) {
		req := kmsg.NewPtrReadShareGroupStateRequest()
		req.GroupID = group
		for i := range items {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != items[i].topic {
				req.Topics = append(req.Topics, kmsg.ReadShareGroupStateRequestTopic{TopicID: items[i].topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, items[i].q)
		}
		resp, err := askKeeper(ctx, s, broker, req, s.opts.Local.ReadShareGroupState)
		if err != nil {
			return nil, err
		}
		for i := range resp.Topics {
			answers = append(answers, resp.Topics[i].Partitions...)
		}
		return answers, nil
	},
}

// WriteShareGroupState implements Persister.
func (s *ClusterStates) WriteShareGroupState(ctx context.Context, req *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse {
	var items []item[kmsg.WriteShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for _, q := range req.Topics[i].Partitions {
			items = append(items, item[kmsg.WriteShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, q})
		}
	}
	answers := everywhere(ctx, s, req.GroupID, items, &writeVerb)
	resp := kmsg.NewPtrWriteShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		n := len(req.Topics[i].Partitions)
		resp.Topics = append(resp.Topics, kmsg.WriteShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID, Partitions: answers[:n:n]})
		answers = answers[n:]
	}
	return resp
}

var writeVerb = stateVerb[kmsg.WriteShareGroupStateRequestTopicPartition, kmsg.WriteShareGroupStateResponseTopicPartition]{
	partition: func(q *kmsg.WriteShareGroupStateRequestTopicPartition) int32 { return q.Partition },
	answered: func(a *kmsg.WriteShareGroupStateResponseTopicPartition) (int32, kafka.ErrorCode) {
		return a.Partition, kafka.ErrorCode(a.ErrorCode)
	},
	refuse: func(q *kmsg.WriteShareGroupStateRequestTopicPartition, err error) (a kmsg.WriteShareGroupStateResponseTopicPartition) {
		a.Partition = q.Partition
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return a
	},
	ask: func(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[kmsg.WriteShareGroupStateRequestTopicPartition]) (answers []kmsg.WriteShareGroupStateResponseTopicPartition, err error) {
		req := kmsg.NewPtrWriteShareGroupStateRequest()
		req.Version = 1 // the first that knows how many records are dealt with
		req.GroupID = group
		for i := range items {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != items[i].topic {
				req.Topics = append(req.Topics, kmsg.WriteShareGroupStateRequestTopic{TopicID: items[i].topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, items[i].q)
		}
		resp, err := askKeeper(ctx, s, broker, req, s.opts.Local.WriteShareGroupState)
		if err != nil {
			return nil, err
		}
		for i := range resp.Topics {
			answers = append(answers, resp.Topics[i].Partitions...)
		}
		return answers, nil
	},
}

// DeleteShareGroupState implements Persister.
func (s *ClusterStates) DeleteShareGroupState(ctx context.Context, req *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse {
	var items []item[kmsg.DeleteShareGroupStateRequestTopicPartition]
	for i := range req.Topics {
		for _, q := range req.Topics[i].Partitions {
			items = append(items, item[kmsg.DeleteShareGroupStateRequestTopicPartition]{req.Topics[i].TopicID, q})
		}
	}
	answers := everywhere(ctx, s, req.GroupID, items, &deleteVerb)
	resp := kmsg.NewPtrDeleteShareGroupStateResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		n := len(req.Topics[i].Partitions)
		resp.Topics = append(resp.Topics, kmsg.DeleteShareGroupStateResponseTopic{TopicID: req.Topics[i].TopicID, Partitions: answers[:n:n]})
		answers = answers[n:]
	}
	return resp
}

var deleteVerb = stateVerb[kmsg.DeleteShareGroupStateRequestTopicPartition, kmsg.DeleteShareGroupStateResponseTopicPartition]{
	partition: func(q *kmsg.DeleteShareGroupStateRequestTopicPartition) int32 { return q.Partition },
	answered: func(a *kmsg.DeleteShareGroupStateResponseTopicPartition) (int32, kafka.ErrorCode) {
		return a.Partition, kafka.ErrorCode(a.ErrorCode)
	},
	refuse: func(q *kmsg.DeleteShareGroupStateRequestTopicPartition, err error) (a kmsg.DeleteShareGroupStateResponseTopicPartition) {
		a.Partition = q.Partition
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return a
	},
	ask: func(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[kmsg.DeleteShareGroupStateRequestTopicPartition]) (answers []kmsg.DeleteShareGroupStateResponseTopicPartition, err error) {
		req := kmsg.NewPtrDeleteShareGroupStateRequest()
		req.GroupID = group
		for i := range items {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != items[i].topic {
				req.Topics = append(req.Topics, kmsg.DeleteShareGroupStateRequestTopic{TopicID: items[i].topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, items[i].q)
		}
		resp, err := askKeeper(ctx, s, broker, req, s.opts.Local.DeleteShareGroupState)
		if err != nil {
			return nil, err
		}
		for i := range resp.Topics {
			answers = append(answers, resp.Topics[i].Partitions...)
		}
		return answers, nil
	},
}

// ReadShareGroupStateSummary implements Persister.
func (s *ClusterStates) ReadShareGroupStateSummary(ctx context.Context, req *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse {
	var items []item[kmsg.ReadShareGroupStateSummaryRequestTopicPartition]
	for i := range req.Topics {
		for _, q := range req.Topics[i].Partitions {
			items = append(items, item[kmsg.ReadShareGroupStateSummaryRequestTopicPartition]{req.Topics[i].TopicID, q})
		}
	}
	answers := everywhere(ctx, s, req.GroupID, items, &summaryVerb)
	resp := kmsg.NewPtrReadShareGroupStateSummaryResponse()
	resp.Version = req.Version
	for i := range req.Topics {
		n := len(req.Topics[i].Partitions)
		resp.Topics = append(resp.Topics, kmsg.ReadShareGroupStateSummaryResponseTopic{TopicID: req.Topics[i].TopicID, Partitions: answers[:n:n]})
		answers = answers[n:]
	}
	return resp
}

var summaryVerb = stateVerb[kmsg.ReadShareGroupStateSummaryRequestTopicPartition, kmsg.ReadShareGroupStateSummaryResponseTopicPartition]{
	partition: func(q *kmsg.ReadShareGroupStateSummaryRequestTopicPartition) int32 { return q.Partition },
	answered: func(a *kmsg.ReadShareGroupStateSummaryResponseTopicPartition) (int32, kafka.ErrorCode) {
		return a.Partition, kafka.ErrorCode(a.ErrorCode)
	},
	refuse: func(q *kmsg.ReadShareGroupStateSummaryRequestTopicPartition, err error) (a kmsg.ReadShareGroupStateSummaryResponseTopicPartition) {
		a.Partition = q.Partition
		a.DeliveryCompleteCount = -1
		a.ErrorCode, a.ErrorMessage = codeAndMessage(err)
		return a
	},
	ask: func(ctx context.Context, s *ClusterStates, broker kafka.BrokerID, group string, items []item[kmsg.ReadShareGroupStateSummaryRequestTopicPartition]) (answers []kmsg.ReadShareGroupStateSummaryResponseTopicPartition, err error) {
		req := kmsg.NewPtrReadShareGroupStateSummaryRequest()
		req.Version = 1 // the first that knows how many records are dealt with
		req.GroupID = group
		for i := range items {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != items[i].topic {
				req.Topics = append(req.Topics, kmsg.ReadShareGroupStateSummaryRequestTopic{TopicID: items[i].topic})
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, items[i].q)
		}
		resp, err := askKeeper(ctx, s, broker, req, s.opts.Local.ReadShareGroupStateSummary)
		if err != nil {
			return nil, err
		}
		for i := range resp.Topics {
			answers = append(answers, resp.Topics[i].Partitions...)
		}
		return answers, nil
	},
}
