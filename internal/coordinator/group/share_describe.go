package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeShareGroup tells all about a share group: GROUP_ID_NOT_FOUND if there is none of that name, or it is of another kind.
func (s *Shard) DescribeShareGroup(v coordinator.View, name string) kmsg.ShareGroupDescribeResponseGroup {
	d := kmsg.NewShareGroupDescribeResponseGroup()
	d.GroupID = name
	found, ok := s.groups.GetAt(name, v.Committed)
	g, isShare := found.(*shareGroup)
	if !isShare {
		text := "Group " + name + " not found."
		if ok {
			text = "Group " + name + " is not a share group."
		}
		d.ErrorCode, d.ErrorMessage = int16(kafka.GroupIDNotFound), &text
		return d
	}
	h := g.head.GetAt(v.Committed)
	d.GroupState, d.GroupEpoch, d.AssignmentEpoch, d.Assignor = g.state(v), h.epoch, h.targetEpoch, assign.SimpleName
	for _, m := range g.members.AllAt(v.Committed) {
		one := kmsg.NewShareGroupDescribeResponseGroupMember()
		one.MemberID, one.RackID, one.MemberEpoch = m.id, m.said.rack, m.at.epoch
		one.ClientID, one.ClientHost, one.SubscribedTopicNames = m.said.client.ID, m.said.client.Host, m.said.topics
		for _, t := range describedPartitions(v.Image, m.at.assigned) {
			p := kmsg.NewShareGroupDescribeResponseGroupMemberAssignmentTopicPartition()
			p.TopicID, p.Topic, p.Partitions = t.TopicID, t.Topic, t.Partitions
			one.Assignment.TopicPartitions = append(one.Assignment.TopicPartitions, p)
		}
		d.Members = append(d.Members, one)
	}
	slices.SortFunc(d.Members, func(a, b kmsg.ShareGroupDescribeResponseGroupMember) int { return cmp.Compare(a.MemberID, b.MemberID) })
	return d
}
