package queue

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// AlterShareGroupOffsets makes a share group begin anew at other offsets, and makes the group if there is none. What was known of records from
// before is forgotten. The group must have no members: NonEmptyGroup.
//
// Codes of a partition: UnknownTopicOrPartition, InvalidRequest (a negative offset), and those of the share coordinator.
func (m *Manager) AlterShareGroupOffsets(ctx context.Context, req *kmsg.AlterShareGroupOffsetsRequest) *kmsg.AlterShareGroupOffsetsResponse {
	resp := kmsg.NewPtrAlterShareGroupOffsetsResponse()
	resp.Version = req.Version
	img := m.opts.Image()
	var begin []group.TopicIDPartitions
	states := kmsg.NewPtrInitializeShareGroupStateRequest()
	states.GroupID = req.GroupID
	results := map[TopicPartition]*kmsg.AlterShareGroupOffsetsResponseTopicPartition{}
	for i := range req.Topics {
		t := &req.Topics[i]
		known := img.Topics.ByName(t.Topic)
		topic := kmsg.NewAlterShareGroupOffsetsResponseTopic()
		topic.Topic = t.Topic
		topic.Partitions = make([]kmsg.AlterShareGroupOffsetsResponseTopicPartition, len(t.Partitions))
		one := group.TopicIDPartitions{Topic: t.Topic}
		state := kmsg.NewInitializeShareGroupStateRequestTopic()
		if known != nil {
			topic.TopicID, one.TopicID, state.TopicID = known.ID, known.ID, known.ID
		}
		for j := range t.Partitions {
			p := &topic.Partitions[j]
			p.Default()
			p.Partition = t.Partitions[j].Partition
			at := TopicPartition{topic.TopicID, p.Partition}
			switch {
			case known == nil || p.Partition < 0 || int(p.Partition) >= len(known.Partitions):
				p.ErrorCode, p.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no partition %d of topic %s", p.Partition, t.Topic))
			case t.Partitions[j].StartOffset < 0 || results[at] != nil:
				p.ErrorCode, p.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.InvalidRequest, "a share group begins at one offset of a partition, 0 or later"))
			default:
				results[at] = p
				one.Partitions = append(one.Partitions, p.Partition)
				s := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
				s.Partition, s.StartOffset = p.Partition, t.Partitions[j].StartOffset
				state.Partitions = append(state.Partitions, s)
			}
		}
		if len(one.Partitions) > 0 {
			begin, states.Topics = append(begin, one), append(states.Topics, state)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if err := m.beginAnew(ctx, req.GroupID, begin, states, results); err != nil {
		resp.ErrorCode, resp.ErrorMessage = codeAndMessage(err)
		resp.Topics = nil
	}
	return resp
}

// beginAnew begins states, and tells the groups' coordinator of those that have begun.
func (m *Manager) beginAnew(ctx context.Context, name string, topics []group.TopicIDPartitions, states *kmsg.InitializeShareGroupStateRequest, results map[TopicPartition]*kmsg.AlterShareGroupOffsetsResponseTopicPartition) error {
	epoch, err := m.opts.Groups.AlterShareState(ctx, name, topics)
	if err != nil || len(topics) == 0 {
		return err
	}
	m.dropStates(name, topics)
	for i := range states.Topics {
		for j := range states.Topics[i].Partitions {
			states.Topics[i].Partitions[j].StateEpoch = epoch
		}
	}
	failed := map[TopicPartition]bool{}
	for _, t := range m.opts.States.InitializeShareGroupState(ctx, states).Topics {
		for _, p := range t.Partitions {
			at := TopicPartition{t.TopicID, p.Partition}
			if r := results[at]; r != nil && p.ErrorCode != 0 {
				r.ErrorCode, r.ErrorMessage = p.ErrorCode, p.ErrorMessage
				failed[at] = true
			}
		}
	}
	m.dropStates(name, topics) // whoever loaded the old state meanwhile
	var begun []group.TopicIDPartitions
	for _, t := range topics {
		one := group.TopicIDPartitions{TopicID: t.TopicID, Topic: t.Topic}
		for _, i := range t.Partitions {
			if !failed[TopicPartition{t.TopicID, i}] {
				one.Partitions = append(one.Partitions, i)
			}
		}
		if len(one.Partitions) > 0 {
			begun = append(begun, one)
		}
	}
	if len(begun) == 0 {
		return nil
	}
	return m.opts.Groups.ShareStateInitialized(ctx, name, begun)
}
