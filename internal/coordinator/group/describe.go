package group

import (
	"fmt"
	"iter"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeGroup describes a classic group as it is committed, as DescribeGroups from v6 on has it: a group that does not exist, or is of another kind,
// is Dead, with GROUP_ID_NOT_FOUND and a message. Clients of older versions are told only that it is Dead.
func (s *Shard) DescribeGroup(v coordinator.View, name string) kmsg.DescribeGroupsResponseGroup {
	r := kmsg.NewDescribeGroupsResponseGroup()
	r.Group, r.AuthorizedOperations = name, math.MinInt32
	one, ok := s.groups.GetAt(name, v.Committed)
	g, isClassic := one.(*classicGroup)
	if !isClassic {
		r.State, r.ErrorCode = stateDead, int16(kafka.GroupIDNotFound)
		text := fmt.Sprintf("Group %s not found.", name)
		if ok {
			text = fmt.Sprintf("Group %s is not a classic group.", name)
		}
		r.ErrorMessage = &text
		return r
	}
	h := g.head.GetAt(v.Committed)
	r.State, r.ProtocolType = h.state, h.protocolType
	stable := h.state == stateStable
	if stable && h.protocol != nil {
		r.Protocol = *h.protocol
	}
	for _, m := range g.sortedAt(v.Committed) {
		d := kmsg.NewDescribeGroupsResponseGroupMember()
		d.MemberID, d.InstanceID, d.ClientID, d.ClientHost, d.MemberAssignment = m.id, m.instance, m.client.ID, m.client.Host, m.assignment
		if stable {
			d.ProtocolMetadata = m.metadata(h.protocol)
		}
		r.Members = append(r.Members, d)
	}
	return r
}

// Committed is a committed offset of a group.
type Committed struct {
	Group       string
	Topic       string
	Partition   int32
	Offset      kafka.Offset
	LeaderEpoch kafka.LeaderEpoch
	Time        kafka.Timestamp // of the commit
	Metadata    string
}

// Lags goes through every committed offset, in no particular order.
func (s *Shard) Lags(v coordinator.View) iter.Seq[Committed] {
	return func(yield func(Committed) bool) {
		for _, offsets := range s.byGroup.AllAt(v.Committed) {
			for _, c := range offsets.committed.AllAt(v.Committed) {
				if !yield(Committed{c.group, c.topic, c.partition, c.offset, c.leaderEpoch, c.committed, c.metadata}) {
					return
				}
			}
		}
	}
}
