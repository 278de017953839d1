package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ConsumerGroupHeartbeat joins, keeps and leaves a KIP-848 group.
func (b *Broker) ConsumerGroupHeartbeat(ctx context.Context, s *Session, q *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse {
	a, code := (*kmsg.ConsumerGroupHeartbeatResponse)(nil), b.speaks("consumer")
	if code == kafka.None {
		a, code = askGroup(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.ConsumerGroupHeartbeatResponse {
			return g.ConsumerGroupHeartbeat(op, clientOf(s), q)
		})
	}
	if code != kafka.None {
		a = kmsg.NewPtrConsumerGroupHeartbeatResponse()
		a.ErrorCode = int16(code)
	}
	return a
}

// ShareGroupHeartbeat joins, keeps and leaves a share group.
func (b *Broker) ShareGroupHeartbeat(ctx context.Context, s *Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	a, code := askGroup(ctx, b, q.GroupID, func(g *group.Shard, op *coordinator.Op) *kmsg.ShareGroupHeartbeatResponse {
		return g.ShareGroupHeartbeat(op, clientOf(s), q)
	})
	if code != kafka.None {
		a = kmsg.NewPtrShareGroupHeartbeatResponse()
		a.ErrorCode = int16(code)
	}
	return a
}

// StreamsGroupHeartbeat joins, keeps and leaves a streams group.
func (b *Broker) StreamsGroupHeartbeat(ctx context.Context, s *Session, q *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse {
	a, code := (*kmsg.StreamsGroupHeartbeatResponse)(nil), b.speaks("streams")
	if code == kafka.None {
		a, code = askGroup(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.StreamsGroupHeartbeatResponse {
			return g.StreamsGroupHeartbeat(op, clientOf(s), q)
		})
	}
	if code != kafka.None {
		a = kmsg.NewPtrStreamsGroupHeartbeatResponse()
		a.ErrorCode = int16(code)
	}
	return a
}

// StreamsGroupTopologyDescriptionUpdate keeps what a member says of its topology, for descriptions.
func (b *Broker) StreamsGroupTopologyDescriptionUpdate(ctx context.Context, s *Session, q *kmsg.StreamsGroupTopologyDescriptionUpdateRequest) *kmsg.StreamsGroupTopologyDescriptionUpdateResponse {
	a, code := askGroup(ctx, b, q.Group, func(g *group.Shard, op *coordinator.Op) *kmsg.StreamsGroupTopologyDescriptionUpdateResponse {
		return g.StreamsGroupTopologyDescriptionUpdate(op, clientOf(s), q)
	})
	if code != kafka.None {
		a = kmsg.NewPtrStreamsGroupTopologyDescriptionUpdateResponse()
		a.ErrorCode = int16(code)
	}
	return a
}
