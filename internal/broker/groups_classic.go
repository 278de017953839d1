package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// JoinGroup makes a client a member of a classic group. It may wait for minutes, until the group's next generation begins.
func (b *Broker) JoinGroup(ctx context.Context, s *Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	a, code := (*kmsg.JoinGroupResponse)(nil), b.speaks("classic")
	if code == kafka.None {
		a, code = askMemberLater(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op, later *coordinator.Reply[*kmsg.JoinGroupResponse]) {
			g.JoinGroup(op, clientOf(s), q, later)
		})
	}
	if code == kafka.None {
		return a
	}
	a = kmsg.NewPtrJoinGroupResponse()
	a.ErrorCode, a.MemberID = int16(code), q.MemberID
	return a
}

// SyncGroup gives a member its assignment, or waits for the leader to tell it.
func (b *Broker) SyncGroup(ctx context.Context, s *Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	a, code := askMemberLater(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op, later *coordinator.Reply[*kmsg.SyncGroupResponse]) {
		g.SyncGroup(op, clientOf(s), q, later)
	})
	if code == kafka.None {
		return a
	}
	a = kmsg.NewPtrSyncGroupResponse()
	a.ErrorCode = int16(code)
	return a
}

// Heartbeat keeps a member of a classic group alive. While the group is being loaded nobody knows its members, so nothing is held against
// the one who asks, as in Kafka.
func (b *Broker) Heartbeat(ctx context.Context, s *Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	a, code := askMember(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.HeartbeatResponse {
		return g.Heartbeat(op, clientOf(s), q)
	})
	if code == kafka.None {
		return a
	}
	a = kmsg.NewPtrHeartbeatResponse()
	if code != kafka.CoordinatorLoadInProgress {
		a.ErrorCode = int16(code)
	}
	return a
}

// LeaveGroup removes members from a classic group; each has its own error.
func (b *Broker) LeaveGroup(ctx context.Context, s *Session, q *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	a, code := askMember(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.LeaveGroupResponse {
		return g.LeaveGroup(op, clientOf(s), q)
	})
	if code == kafka.None {
		return a
	}
	a = kmsg.NewPtrLeaveGroupResponse()
	a.ErrorCode = int16(code)
	return a
}
