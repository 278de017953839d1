package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
)

// The verbs below take and give the protocol's own messages. What older versions lack or have elsewhere this door puts where the newest
// version has it, and back; a request's Version still tells what its client understands.

// groupVerbs are about groups of every kind and their committed offsets.
type groupVerbs interface {
	OffsetCommit(ctx context.Context, s *broker.Session, q *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse
	OffsetFetch(ctx context.Context, s *broker.Session, q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse
	OffsetDelete(ctx context.Context, s *broker.Session, q *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse
	FindCoordinator(ctx context.Context, s *broker.Session, q *kmsg.FindCoordinatorRequest) *kmsg.FindCoordinatorResponse
	JoinGroup(ctx context.Context, s *broker.Session, q *kmsg.JoinGroupRequest) *kmsg.JoinGroupResponse
	SyncGroup(ctx context.Context, s *broker.Session, q *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse
	Heartbeat(ctx context.Context, s *broker.Session, q *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse
	LeaveGroup(ctx context.Context, s *broker.Session, q *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse
	DescribeGroups(ctx context.Context, s *broker.Session, q *kmsg.DescribeGroupsRequest) *kmsg.DescribeGroupsResponse
	ListGroups(ctx context.Context, s *broker.Session, q *kmsg.ListGroupsRequest) *kmsg.ListGroupsResponse
	DeleteGroups(ctx context.Context, s *broker.Session, q *kmsg.DeleteGroupsRequest) *kmsg.DeleteGroupsResponse
	ConsumerGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ConsumerGroupHeartbeatRequest) *kmsg.ConsumerGroupHeartbeatResponse
	ConsumerGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse
	ShareGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse
	ShareGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.ShareGroupDescribeRequest) *kmsg.ShareGroupDescribeResponse
	StreamsGroupHeartbeat(ctx context.Context, s *broker.Session, q *kmsg.StreamsGroupHeartbeatRequest) *kmsg.StreamsGroupHeartbeatResponse
	StreamsGroupDescribe(ctx context.Context, s *broker.Session, q *kmsg.StreamsGroupDescribeRequest) *kmsg.StreamsGroupDescribeResponse
	StreamsGroupTopologyDescriptionUpdate(ctx context.Context, s *broker.Session, q *kmsg.StreamsGroupTopologyDescriptionUpdateRequest) *kmsg.StreamsGroupTopologyDescriptionUpdateResponse
}

// txnVerbs are about transactions.
type txnVerbs interface {
	AddPartitionsToTxn(ctx context.Context, s *broker.Session, q *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse
	AddOffsetsToTxn(ctx context.Context, s *broker.Session, q *kmsg.AddOffsetsToTxnRequest) *kmsg.AddOffsetsToTxnResponse
	EndTxn(ctx context.Context, s *broker.Session, q *kmsg.EndTxnRequest) *kmsg.EndTxnResponse
	WriteTxnMarkers(ctx context.Context, s *broker.Session, q *kmsg.WriteTxnMarkersRequest) *kmsg.WriteTxnMarkersResponse
	TxnOffsetCommit(ctx context.Context, s *broker.Session, q *kmsg.TxnOffsetCommitRequest) *kmsg.TxnOffsetCommitResponse
	DescribeTransactions(ctx context.Context, s *broker.Session, q *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse
	ListTransactions(ctx context.Context, s *broker.Session, q *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse
}

// shareVerbs are about the records of share groups. A Session stands for its connection: all of a connection's come with the same one.
type shareVerbs interface {
	// ShareFetchWritten says that the records of the last ShareFetch were written: until then they count against the broker's memory.
	ShareFetchWritten(s *broker.Session)
	// SessionClosed says that the connection has ended: what its members hold is free for others.
	SessionClosed(s *broker.Session)
	ShareFetch(ctx context.Context, s *broker.Session, q *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse
	ShareAcknowledge(ctx context.Context, s *broker.Session, q *kmsg.ShareAcknowledgeRequest) *kmsg.ShareAcknowledgeResponse
	InitializeShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.InitializeShareGroupStateRequest) *kmsg.InitializeShareGroupStateResponse
	ReadShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateRequest) *kmsg.ReadShareGroupStateResponse
	WriteShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.WriteShareGroupStateRequest) *kmsg.WriteShareGroupStateResponse
	DeleteShareGroupState(ctx context.Context, s *broker.Session, q *kmsg.DeleteShareGroupStateRequest) *kmsg.DeleteShareGroupStateResponse
	ReadShareGroupStateSummary(ctx context.Context, s *broker.Session, q *kmsg.ReadShareGroupStateSummaryRequest) *kmsg.ReadShareGroupStateSummaryResponse
	DescribeShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DescribeShareGroupOffsetsRequest) *kmsg.DescribeShareGroupOffsetsResponse
	AlterShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.AlterShareGroupOffsetsRequest) *kmsg.AlterShareGroupOffsetsResponse
	DeleteShareGroupOffsets(ctx context.Context, s *broker.Session, q *kmsg.DeleteShareGroupOffsetsRequest) *kmsg.DeleteShareGroupOffsetsResponse
}
