package queue

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// states is a share coordinator in memory.
type states struct {
	mu    sync.Mutex
	all   map[partitionKey]*stored
	fail  kafka.ErrorCode // of every write
	hold  chan struct{}   // not nil: writes wait for it
	calls int
}

type stored struct {
	epoch, leader, complete int32
	start                   int64
	offsets                 map[int64]offsetState
}

type offsetState struct {
	state int8
	count int16
}

func newStates() *states { return &states{all: map[partitionKey]*stored{}} }

// of is a copy of what is stored of a partition of group g.
func (s *states) of(tp TopicPartition) stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.all[partitionKey{"g", tp}]; one != nil {
		c := *one
		c.offsets = maps.Clone(one.offsets)
		return c
	}
	return stored{start: -1}
}

func (s *states) getLocked(key partitionKey) *stored {
	one := s.all[key]
	if one == nil {
		one = &stored{start: -1, leader: -1, offsets: map[int64]offsetState{}}
		s.all[key] = one
	}
	return one
}

func (s *states) InitializeShareGroupState(_ context.Context, req *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := kmsg.NewPtrInitializeShareGroupStateResponse()
	for _, t := range req.Topics {
		topic := kmsg.InitializeShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, q := range t.Partitions {
			r := kmsg.InitializeShareGroupStateResponseTopicPartition{Partition: q.Partition}
			key := partitionKey{req.GroupID, TopicPartition{t.TopicID, q.Partition}}
			if one := s.all[key]; one != nil && q.StateEpoch < one.epoch {
				r.ErrorCode = int16(kafka.FencedStateEpoch)
			} else {
				s.all[key] = &stored{epoch: q.StateEpoch, leader: -1, start: q.StartOffset, offsets: map[int64]offsetState{}}
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (s *states) ReadShareGroupState(_ context.Context, req *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := kmsg.NewPtrReadShareGroupStateResponse()
	for _, t := range req.Topics {
		topic := kmsg.ReadShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, q := range t.Partitions {
			one := s.getLocked(partitionKey{req.GroupID, TopicPartition{t.TopicID, q.Partition}})
			one.leader = q.LeaderEpoch
			r := kmsg.ReadShareGroupStateResponseTopicPartition{Partition: q.Partition, StateEpoch: one.epoch, StartOffset: one.start, ErrorCode: int16(s.fail)}
			for _, o := range slices.Sorted(maps.Keys(one.offsets)) {
				if o >= one.start {
					r.StateBatches = append(r.StateBatches, kmsg.ReadShareGroupStateResponseTopicPartitionStateBatch{FirstOffset: o, LastOffset: o, DeliveryState: one.offsets[o].state, DeliveryCount: one.offsets[o].count})
				}
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (s *states) WriteShareGroupState(ctx context.Context, req *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	resp := kmsg.NewPtrWriteShareGroupStateResponse()
	for _, t := range req.Topics {
		topic := kmsg.WriteShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, q := range t.Partitions {
			one := s.getLocked(partitionKey{req.GroupID, TopicPartition{t.TopicID, q.Partition}})
			r := kmsg.WriteShareGroupStateResponseTopicPartition{Partition: q.Partition}
			switch {
			case s.fail != kafka.None:
				r.ErrorCode = int16(s.fail)
			case ctx.Err() != nil:
				r.ErrorCode = int16(kafka.CoordinatorNotAvailable)
			case q.StateEpoch < one.epoch:
				r.ErrorCode = int16(kafka.FencedStateEpoch)
			case q.LeaderEpoch < one.leader:
				r.ErrorCode = int16(kafka.FencedLeaderEpoch)
			default:
				if q.StartOffset >= 0 {
					one.start = q.StartOffset
				}
				one.complete, one.leader = q.DeliveryCompleteCount, q.LeaderEpoch
				for _, b := range q.StateBatches {
					for o := b.FirstOffset; o <= b.LastOffset; o++ {
						one.offsets[o] = offsetState{b.DeliveryState, b.DeliveryCount}
					}
				}
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (s *states) DeleteShareGroupState(_ context.Context, req *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := kmsg.NewPtrDeleteShareGroupStateResponse()
	for _, t := range req.Topics {
		topic := kmsg.DeleteShareGroupStateResponseTopic{TopicID: t.TopicID}
		for _, q := range t.Partitions {
			delete(s.all, partitionKey{req.GroupID, TopicPartition{t.TopicID, q.Partition}})
			topic.Partitions = append(topic.Partitions, kmsg.DeleteShareGroupStateResponseTopicPartition{Partition: q.Partition, ErrorCode: int16(s.fail)})
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (s *states) ReadShareGroupStateSummary(_ context.Context, req *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := kmsg.NewPtrReadShareGroupStateSummaryResponse()
	for _, t := range req.Topics {
		topic := kmsg.ReadShareGroupStateSummaryResponseTopic{TopicID: t.TopicID}
		for _, q := range t.Partitions {
			r := kmsg.ReadShareGroupStateSummaryResponseTopicPartition{Partition: q.Partition, StartOffset: -1, DeliveryCompleteCount: -1}
			if one := s.all[partitionKey{req.GroupID, TopicPartition{t.TopicID, q.Partition}}]; one != nil {
				r.StartOffset, r.DeliveryCompleteCount, r.LeaderEpoch, r.StateEpoch = one.start, one.complete, one.leader, one.epoch
			}
			topic.Partitions = append(topic.Partitions, r)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// groups is a groups' coordinator that knows group g and remembers what it is told.
type groups struct {
	mu          sync.Mutex
	initialized []group.TopicIDPartitions
	deleted     []group.TopicIDPartitions
	refuse      kafka.ErrorCode
	epoch       int32
}

func (g *groups) ShareStateInitialized(_ context.Context, _ string, topics []group.TopicIDPartitions) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.initialized = append(g.initialized, topics...)
	return nil
}

func (g *groups) ShareStateDeleted(_ context.Context, _ string, topics []group.TopicIDPartitions) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deleted = append(g.deleted, topics...)
	return nil
}

func (g *groups) SharePartitions(_ context.Context, name string) ([]group.TopicIDPartitions, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name != "g" {
		return nil, kafka.GroupIDNotFound
	}
	return g.initialized, nil
}

func (g *groups) AlterShareState(context.Context, string, []group.TopicIDPartitions) (int32, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse != kafka.None {
		return 0, g.refuse
	}
	g.epoch++
	return g.epoch, nil
}

func (g *groups) DeleteShareState(_ context.Context, name string, topics []string) (found []group.TopicIDPartitions, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refuse != kafka.None {
		return nil, g.refuse
	}
	for _, t := range g.initialized {
		if slices.Contains(topics, t.Topic) {
			found = append(found, t)
		}
	}
	return found, nil
}
