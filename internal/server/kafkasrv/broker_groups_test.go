package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
)

func (f *fakeBroker) ShareFetchWritten(s *broker.Session) { f.noteOf("written", s) }

func (f *fakeBroker) SessionClosed(s *broker.Session) { f.noteOf("closed", s) }

func (f *fakeBroker) noteOf(what string, s *broker.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("%s %p", what, s)
}

// respond is what the test says to a request about groups and transactions; without that, the defaults of its answer.
func respond[A kmsg.Response](ctx context.Context, f *fakeBroker, s *broker.Session, q kmsg.Request) A {
	f.mu.Lock()
	say := f.say
	f.mu.Unlock()
	if say != nil {
		if a := say(ctx, s, q); a != nil {
			return a.(A)
		}
	}
	return q.ResponseKind().(A)
}

func (f *fakeBroker) OffsetCommit(ctx context.Context, s *broker.Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	return respond[*kmsg.OffsetCommitResponse](ctx, f, s, q)
}

func (f *fakeBroker) OffsetFetch(ctx context.Context, s *broker.Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	return respond[*kmsg.OffsetFetchResponse](ctx, f, s, q)
}

func (f *fakeBroker) OffsetDelete(ctx context.Context, s *broker.Session, q *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	return respond[*kmsg.OffsetDeleteResponse](ctx, f, s, q)
}

func (f *fakeBroker) FindCoordinator(ctx context.Context, s *broker.Session, q *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse {
	return respond[*kmsg.FindCoordinatorResponse](ctx, f, s, q)
}

func (f *fakeBroker) JoinGroup(ctx context.Context, s *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse {
	return respond[*kmsg.JoinGroupResponse](ctx, f, s, q)
}

func (f *fakeBroker) SyncGroup(ctx context.Context, s *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	return respond[*kmsg.SyncGroupResponse](ctx, f, s, q)
}

func (f *fakeBroker) Heartbeat(ctx context.Context, s *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	return respond[*kmsg.HeartbeatResponse](ctx, f, s, q)
}

func (f *fakeBroker) LeaveGroup(ctx context.Context, s *broker.Session, q *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	return respond[*kmsg.LeaveGroupResponse](ctx, f, s, q)
}

func (f *fakeBroker) DescribeGroups(ctx context.Context, s *broker.Session, q *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse {
	return respond[*kmsg.DescribeGroupsResponse](ctx, f, s, q)
}

func (f *fakeBroker) ListGroups(ctx context.Context, s *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse {
	return respond[*kmsg.ListGroupsResponse](ctx, f, s, q)
}

func (f *fakeBroker) DeleteGroups(ctx context.Context, s *broker.Session, q *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse {
	return respond[*kmsg.DeleteGroupsResponse](ctx, f, s, q)
}

func (f *fakeBroker) ConsumerGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse {
	return respond[*kmsg.ConsumerGroupHeartbeatResponse](ctx, f, s, q)
}

func (f *fakeBroker) ConsumerGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	return respond[*kmsg.ConsumerGroupDescribeResponse](ctx, f, s, q)
}

func (f *fakeBroker) ShareGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	return respond[*kmsg.ShareGroupHeartbeatResponse](ctx, f, s, q)
}

func (f *fakeBroker) ShareGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse {
	return respond[*kmsg.ShareGroupDescribeResponse](ctx, f, s, q)
}

func (f *fakeBroker) StreamsGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse {
	return respond[*kmsg.StreamsGroupHeartbeatResponse](ctx, f, s, q)
}

func (f *fakeBroker) StreamsGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.StreamsGroupDescribeRequest) *kmsg.StreamsGroupDescribeResponse {
	return respond[*kmsg.StreamsGroupDescribeResponse](ctx, f, s, q)
}

func (f *fakeBroker) StreamsGroupTopologyDescriptionUpdate(ctx context.Context, s *broker.Session, q *kmsg.StreamsGroupTopologyDescriptionUpdateRequest) *kmsg.StreamsGroupTopologyDescriptionUpdateResponse {
	return respond[*kmsg.StreamsGroupTopologyDescriptionUpdateResponse](ctx, f, s, q)
}

func (f *fakeBroker) AddPartitionsToTxn(ctx context.Context, s *broker.Session, q *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	return respond[*kmsg.AddPartitionsToTxnResponse](ctx, f, s, q)
}

func (f *fakeBroker) AddOffsetsToTxn(ctx context.Context, s *broker.Session, q *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse {
	return respond[*kmsg.AddOffsetsToTxnResponse](ctx, f, s, q)
}

func (f *fakeBroker) EndTxn(ctx context.Context, s *broker.Session, q *kmsg.EndTxnRequest) *kmsg.EndTxnResponse {
	return respond[*kmsg.EndTxnResponse](ctx, f, s, q)
}

func (f *fakeBroker) WriteTxnMarkers(ctx context.Context, s *broker.Session, q *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse {
	return respond[*kmsg.WriteTxnMarkersResponse](ctx, f, s, q)
}

func (f *fakeBroker) TxnOffsetCommit(ctx context.Context, s *broker.Session, q *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse {
	return respond[*kmsg.TxnOffsetCommitResponse](ctx, f, s, q)
}

func (f *fakeBroker) DescribeTransactions(ctx context.Context, s *broker.Session, q *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse {
	return respond[*kmsg.DescribeTransactionsResponse](ctx, f, s, q)
}

func (f *fakeBroker) ListTransactions(ctx context.Context, s *broker.Session, q *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	return respond[*kmsg.ListTransactionsResponse](ctx, f, s, q)
}

func (f *fakeBroker) ShareFetch(ctx context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	return respond[*kmsg.ShareFetchResponse](ctx, f, s, q)
}

func (f *fakeBroker) ShareAcknowledge(ctx context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse {
	return respond[*kmsg.ShareAcknowledgeResponse](ctx, f, s, q)
}

func (f *fakeBroker) InitializeShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse {
	return respond[*kmsg.InitializeShareGroupStateResponse](ctx, f, s, q)
}

func (f *fakeBroker) ReadShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse {
	return respond[*kmsg.ReadShareGroupStateResponse](ctx, f, s, q)
}

func (f *fakeBroker) WriteShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse {
	return respond[*kmsg.WriteShareGroupStateResponse](ctx, f, s, q)
}

func (f *fakeBroker) DeleteShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse {
	return respond[*kmsg.DeleteShareGroupStateResponse](ctx, f, s, q)
}

func (f *fakeBroker) ReadShareGroupStateSummary(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse {
	return respond[*kmsg.ReadShareGroupStateSummaryResponse](ctx, f, s, q)
}

func (f *fakeBroker) DescribeShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse {
	return respond[*kmsg.DescribeShareGroupOffsetsResponse](ctx, f, s, q)
}

func (f *fakeBroker) AlterShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.AlterShareGroupOffsetsRequest) *kmsg.AlterShareGroupOffsetsResponse {
	return respond[*kmsg.AlterShareGroupOffsetsResponse](ctx, f, s, q)
}

func (f *fakeBroker) DeleteShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DeleteShareGroupOffsetsRequest) *kmsg.DeleteShareGroupOffsetsResponse {
	return respond[*kmsg.DeleteShareGroupOffsetsResponse](ctx, f, s, q)
}
