package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Kinds of members, as ConsumerGroupDescribe names them from v1.
const (
	memberTypeClassic  int8 = 0
	memberTypeConsumer int8 = 1
)

// DescribeConsumerGroup tells all about a consumer group: GROUP_ID_NOT_FOUND if there is none of that name, or it is of another kind.
func (s *Shard) DescribeConsumerGroup(v coordinator.View, name string) kmsg.ConsumerGroupDescribeResponseGroup {
	d := kmsg.NewConsumerGroupDescribeResponseGroup()
	d.Group = name
	found, ok := s.groups.GetAt(name, v.Committed)
	g, isConsumer := found.(*consumerGroup)
	if !isConsumer {
		text := "Group " + name + " not found."
		if ok {
			text = "Group " + name + " is not a consumer group."
		}
		d.ErrorCode, d.ErrorMessage = int16(kafka.GroupIDNotFound), &text
		return d
	}
	h := g.head.GetAt(v.Committed)
	d.State, d.Epoch, d.AssignmentEpoch = g.state(v), h.epoch, h.targetEpoch
	_, d.AssignorName = g.protocol(v)
	for id, m := range g.members.AllAt(v.Committed) {
		target, _ := g.targets.GetAt(id, v.Committed)
		d.Members = append(d.Members, m.described(v.Image, target))
	}
	slices.SortFunc(d.Members, func(a, b kmsg.ConsumerGroupDescribeResponseGroupMember) int {
		switch {
		case a.MemberID < b.MemberID:
			return -1
		case a.MemberID > b.MemberID:
			return 1
		}
		return 0
	})
	return d
}

func (m *consumerMember) described(img *metadata.Image, target assign.Partitions) kmsg.ConsumerGroupDescribeResponseGroupMember {
	d := kmsg.NewConsumerGroupDescribeResponseGroupMember()
	d.MemberID, d.InstanceID, d.RackID, d.MemberEpoch = m.id, m.said.instance, m.said.rack, m.at.epoch
	d.ClientID, d.ClientHost = m.said.client.ID, m.said.client.Host
	d.SubscribedTopics, d.SubscribedTopicRegex = m.said.topics, m.said.regex
	d.Assignment.TopicPartitions = describedPartitions(img, m.at.assigned.Partitions)
	d.TargetAssignment.TopicPartitions = describedPartitions(img, target)
	d.MemberType = memberTypeConsumer
	if m.said.classic != nil {
		d.MemberType = memberTypeClassic
	}
	return d
}

// describedPartitions leaves out topics that are gone, which have no name any more.
func describedPartitions(img *metadata.Image, set assign.Partitions) []kmsg.AssignmentTopicPartition {
	list := make([]kmsg.AssignmentTopicPartition, 0, len(set))
	for _, t := range set {
		if topic := img.Topics.ByID(t.ID); topic != nil {
			list = append(list, kmsg.AssignmentTopicPartition{TopicID: t.ID, Topic: topic.Name, Partitions: t.Partitions})
		}
	}
	return list
}
