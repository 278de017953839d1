package brokertest

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// AlterConfigs refuses: the fake has no settings.
func (b *Broker) AlterConfigs(_ context.Context, _ *broker.Session, resources []broker.AlterResource, _ bool) []error {
	errs := make([]error, len(resources))
	for i := range errs {
		errs[i] = kafka.Errorf(kafka.UnsupportedVersion, "this broker is a fake without settings")
	}
	return errs
}

// ListGroups and what follows are the real broker's; without share groups, which need real partitions.
func (b *Broker) ListGroups(ctx context.Context, s *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	return b.groups.ListGroups(ctx, s, q)
}

// ShareGroupHeartbeat is the real broker's.
func (b *Broker) ShareGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	return b.groups.ShareGroupHeartbeat(ctx, s, q)
}

// ShareGroupDescribe is the real broker's.
func (b *Broker) ShareGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse {
	return b.groups.ShareGroupDescribe(ctx, s, q)
}

// ShareFetch answers that there are no queues.
func (b *Broker) ShareFetch(ctx context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	return b.groups.ShareFetch(ctx, s, q)
}

// ShareFetchWritten does nothing.
func (b *Broker) ShareFetchWritten(s *broker.Session) { b.groups.ShareFetchWritten(s) }

// ShareAcknowledge answers that there are no queues.
func (b *Broker) ShareAcknowledge(ctx context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	return b.groups.ShareAcknowledge(ctx, s, q)
}

// ReadShareGroupState answers that there are no queues.
func (b *Broker) ReadShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	return b.groups.ReadShareGroupState(ctx, s, q)
}

// DescribeShareGroupOffsets answers that there are no queues.
func (b *Broker) DescribeShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse {
	return b.groups.DescribeShareGroupOffsets(ctx, s, q)
}

// SessionClosed does nothing.
func (b *Broker) SessionClosed(s *broker.Session) { b.groups.SessionClosed(s) }
