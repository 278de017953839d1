package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeGroups tells state and members of classic groups; each has its own error (BRK-1). One that is not there is GroupIDNotFound.
func (b *Broker) DescribeGroups(_ context.Context, _ *Session, q *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	a := kmsg.NewPtrDescribeGroupsResponse()
	for _, name := range q.Groups {
		g, code := readGroup(b, name, func(s *group.Shard, v coordinator.View) kmsg.DescribeGroupsResponseGroup {
			return s.DescribeGroup(v, name)
		})
		if code != kafka.None {
			g = kmsg.NewDescribeGroupsResponseGroup()
			g.Group, g.ErrorCode = name, int16(code)
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

// ConsumerGroupDescribe does the same for KIP-848 groups.
func (b *Broker) ConsumerGroupDescribe(_ context.Context, _ *Session, q *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	a := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, name := range q.Groups {
		g, code := readNamed(b, name, func(s *group.Shard, v coordinator.View) kmsg.ConsumerGroupDescribeResponseGroup {
			return s.DescribeConsumerGroup(v, name)
		})
		if code != kafka.None {
			g = kmsg.NewConsumerGroupDescribeResponseGroup()
			g.Group, g.ErrorCode = name, int16(code)
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

// ShareGroupDescribe does the same for share groups.
func (b *Broker) ShareGroupDescribe(_ context.Context, _ *Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse {
	a := kmsg.NewPtrShareGroupDescribeResponse()
	for _, name := range q.GroupIDs {
		g, code := readNamed(b, name, func(s *group.Shard, v coordinator.View) kmsg.ShareGroupDescribeResponseGroup {
			return s.DescribeShareGroup(v, name)
		})
		if code != kafka.None {
			g = kmsg.NewShareGroupDescribeResponseGroup()
			g.GroupID, g.ErrorCode = name, int16(code)
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

// StreamsGroupDescribe does the same for streams groups.
func (b *Broker) StreamsGroupDescribe(_ context.Context, _ *Session, q *kmsg.StreamsGroupDescribeRequest) *kmsg.StreamsGroupDescribeResponse {
	a := kmsg.NewPtrStreamsGroupDescribeResponse()
	for _, name := range q.Groups {
		g, code := readNamed(b, name, func(s *group.Shard, v coordinator.View) kmsg.StreamsGroupDescribeResponseGroup {
			return s.DescribeStreamsGroup(v, name)
		})
		if code != kafka.None {
			g = kmsg.NewStreamsGroupDescribeResponseGroup()
			g.Group, g.ErrorCode = name, int16(code)
		}
		a.Groups = append(a.Groups, g)
	}
	return a
}

// ListGroups lists the groups of every kind here, by state and kind if asked. A part would look like all: while some are being loaded the
// answer is CoordinatorLoadInProgress.
func (b *Broker) ListGroups(_ context.Context, _ *Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	a := kmsg.NewPtrListGroupsResponse()
	if b.opts.Groups == nil {
		a.ErrorCode = int16(coordinatorCode(errNoGroups))
		return a
	}
	err := coordinator.Each(b.opts.Groups, func(s *group.Shard, v coordinator.View) {
		a.Groups = append(a.Groups, s.ListGroups(v, q)...)
	})
	if err != nil {
		a.ErrorCode, a.Groups = int16(coordinatorCode(err)), nil
	}
	return a
}

// DeleteGroups removes groups that have no members, of any kind; each has its own error (BRK-1).
func (b *Broker) DeleteGroups(ctx context.Context, _ *Session, q *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	a := kmsg.NewPtrDeleteGroupsResponse()
	for _, names := range b.byShard(q.Groups) {
		groups, code := askGroup(ctx, b, names[0], func(s *group.Shard, op *coordinator.Op) []kmsg.DeleteGroupsResponseGroup {
			deleted := make([]kmsg.DeleteGroupsResponseGroup, len(names))
			for i, name := range names {
				deleted[i] = s.DeleteGroup(op, name)
			}
			return deleted
		})
		if code != kafka.None {
			groups = nil
			for _, name := range names {
				g := kmsg.NewDeleteGroupsResponseGroup()
				g.Group, g.ErrorCode = name, int16(code)
				groups = append(groups, g)
			}
		}
		a.Groups = append(a.Groups, groups...)
	}
	inOrder(a.Groups, q.Groups, func(g *kmsg.DeleteGroupsResponseGroup) string { return g.Group })
	return a
}
