package receiver

import (
	"context"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// session is the share session with one broker.
type session struct {
	broker int32
	epoch  int32 // of the next request; 0 opens a session
	life   int   // how many sessions there were before this one
	listed map[partitionKey]bool
}

// request asks for partitions: all at first, then only what changed is named.
func (s *session) request(group, member string, want []partitionKey) *kmsg.ShareFetchRequest {
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &group, &member, s.epoch
	wanted := make(map[partitionKey]bool, len(want))
	at := make(map[[16]byte]int)
	for _, k := range want {
		wanted[k] = true
		if s.listed[k] {
			continue
		}
		i, ok := at[k.topic]
		if !ok {
			i = len(req.Topics)
			at[k.topic] = i
			t := kmsg.NewShareFetchRequestTopic()
			t.TopicID = k.topic
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewShareFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes = k.partition, mostPartitionBytes
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	for k := range s.listed {
		if !wanted[k] {
			f := kmsg.NewShareFetchRequestForgottenTopicsData()
			f.TopicID, f.Partitions = k.topic, []int32{k.partition}
			req.ForgottenTopicsData = append(req.ForgottenTopicsData, f)
		}
	}
	return req
}

// went notes that the broker has taken a request.
func (s *session) went(req *kmsg.ShareFetchRequest) {
	s.advance()
	if s.listed == nil {
		s.listed = make(map[partitionKey]bool)
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			s.listed[partitionKey{t.TopicID, p.Partition}] = true
		}
	}
	for _, f := range req.ForgottenTopicsData {
		for _, p := range f.Partitions {
			delete(s.listed, partitionKey{f.TopicID, p})
		}
	}
}

// advance goes to the next epoch. Behind the largest comes 1.
func (s *session) advance() {
	if s.epoch == math.MaxInt32 {
		s.epoch = 0
	}
	s.epoch++
}

// lost notes that the broker has, or may have, released what the session held.
func (s *session) lost() {
	s.epoch, s.listed = 0, nil
	s.life++
}

// end closes the session at the broker.
func (s *session) end(ctx context.Context, r *Receiver) error {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &r.group, &r.member.id, -1
	s.lost()
	answer, err := r.ask(ctx, s.broker, req, 0)
	if err == nil {
		err = kerr.ErrorForCode(answer.(*kmsg.ShareAcknowledgeResponse).ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("close the share session with broker %d: %w", s.broker, err)
	}
	return nil
}
