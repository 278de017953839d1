package grpcsrv

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// What members say of themselves unless they say otherwise: the defaults of Kafka's consumers.
const (
	rangeProtocol      = "range"
	consumerProtocol   = "consumer"
	sessionTimeoutMs   = 45_000
	rebalanceTimeoutMs = 300_000
)

// Versions of the requests that this door makes: the newest ones that add a member without asking it to call twice.
const (
	joinVersion      = 3
	syncVersion      = 3
	heartbeatVersion = 3
)

// JoinGroup makes a client a member of a classic group (RPC-5). It may take as long as the members' rebalance timeouts; the client's
// deadline, or a shutdown, ends it before.
func (s *Server) JoinGroup(ctx context.Context, req *rafkapb.JoinGroupRequest) (*rafkapb.JoinGroupResponse, error) {
	if req.GetGroupId() == "" || len(req.GetTopics()) == 0 {
		return nil, s.fail(status.Error(codes.InvalidArgument, "to join takes a group_id and the topics to read"))
	}
	q := kmsg.NewPtrJoinGroupRequest()
	q.Version, q.Group, q.MemberID = joinVersion, req.GetGroupId(), req.GetMemberId()
	q.ProtocolType = cmp.Or(req.GetProtocolType(), consumerProtocol)
	q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = sessionTimeoutMs, rebalanceTimeoutMs
	if req.SessionTimeoutMs != nil {
		q.SessionTimeoutMillis = req.GetSessionTimeoutMs()
	}
	if req.RebalanceTimeoutMs != nil {
		q.RebalanceTimeoutMillis = req.GetRebalanceTimeoutMs()
	}
	wants := kmsg.NewConsumerMemberMetadata()
	wants.Topics = req.GetTopics()
	q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: rangeProtocol, Metadata: wants.AppendTo(nil)}}

	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	who := session(ctx, cmp.Or(req.GetClientId(), req.GetMemberId(), "grpc"))
	var a *kmsg.JoinGroupResponse
	err := broker.AskCoordinator(ctx, s.verbs, who, q.Group, func() error {
		a = s.verbs.JoinGroup(ctx, who, q)
		return broker.GroupError(a.ErrorCode, q.Group)
	})
	if err != nil {
		connectionOf(ctx).leave(q.Group, req.GetMemberId())
		return nil, s.fail(err)
	}
	m := &membership{group: q.Group, id: a.MemberID, client: req.GetClientId(), generation: a.Generation}
	protocol := rangeProtocol
	if a.Protocol != nil {
		protocol = *a.Protocol
	}
	answer := &rafkapb.JoinGroupResponse{
		Success: true, MemberId: a.MemberID, LeaderId: a.LeaderID, GenerationId: a.Generation, ProtocolName: protocol, Message: "joined",
	}
	for i := range a.Members {
		member := &rafkapb.GroupMember{MemberId: a.Members[i].MemberID, Topics: topicsWanted(a.Members[i].ProtocolMetadata)}
		answer.Members, m.led = append(answer.Members, member), append(m.led, member)
	}
	if !connectionOf(ctx).join(m) {
		return nil, s.fail(status.Errorf(codes.ResourceExhausted, "%d members have joined on this connection; use another one", maxRegistered))
	}
	return answer, nil
}

// SyncGroup tells a member its assignment. A leader that brings none has one made (RPC-5).
func (s *Server) SyncGroup(ctx context.Context, req *rafkapb.SyncGroupRequest) (*rafkapb.SyncGroupResponse, error) {
	if req.GetGroupId() == "" || req.GetMemberId() == "" {
		return nil, s.fail(status.Error(codes.InvalidArgument, "to sync takes a group_id and the member_id that JoinGroup has told"))
	}
	q := kmsg.NewPtrSyncGroupRequest()
	q.Version, q.Group, q.MemberID, q.Generation = syncVersion, req.GetGroupId(), req.GetMemberId(), req.GetGenerationId()
	given := req.GetGroupAssignment()
	m := connectionOf(ctx).member(q.Group, q.MemberID)
	if m != nil && m.generation == q.Generation && len(m.led) > 0 && len(given) == 0 {
		given = dealOut(s.verbs.Image(), m.led)
	}
	for _, id := range slices.Sorted(maps.Keys(given)) {
		q.GroupAssignment = append(q.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: given[id]})
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	a := s.verbs.SyncGroup(ctx, session(ctx, q.MemberID), q)
	if err := broker.GroupError(a.ErrorCode, q.Group); err != nil {
		return nil, s.fail(err)
	}
	answer := &rafkapb.SyncGroupResponse{Success: true, Assignment: a.MemberAssignment, Message: "synced"}
	got := kmsg.NewConsumerMemberAssignment()
	if len(a.MemberAssignment) <= maxReadable && got.ReadFrom(a.MemberAssignment) == nil {
		for _, t := range got.Topics {
			answer.Assigned = append(answer.Assigned, &rafkapb.Assignment{Topic: t.Topic, Partitions: t.Partitions})
		}
		if m != nil && m.generation == q.Generation {
			connectionOf(ctx).assign(m, got.Topics)
		}
	}
	return answer, nil
}

// Heartbeat keeps a member in its group. That the group rebalances is an answer, everything else that is wrong an error.
func (s *Server) Heartbeat(ctx context.Context, req *rafkapb.HeartbeatRequest) (*rafkapb.HeartbeatResponse, error) {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Version, q.Group, q.MemberID, q.Generation = heartbeatVersion, req.GetGroupId(), req.GetMemberId(), req.GetGenerationId()
	a := s.verbs.Heartbeat(ctx, session(ctx, q.MemberID), q)
	if a.ErrorCode == 0 {
		return &rafkapb.HeartbeatResponse{Success: true}, nil
	}
	connectionOf(ctx).leave(q.Group, q.MemberID)
	if a.ErrorCode == int16(kafka.RebalanceInProgress) {
		return &rafkapb.HeartbeatResponse{ErrorCode: 1}, nil
	}
	return nil, s.fail(broker.GroupError(a.ErrorCode, q.Group))
}

// maxReadable is up to how many bytes of a member's own are looked into. Decoding may take forty times as many.
const maxReadable = 256 << 10

// topicsWanted are the topics that a member wants to read; none if it has said so in a way that we do not know.
func topicsWanted(metadata []byte) []string {
	wants := kmsg.NewConsumerMemberMetadata()
	if len(metadata) > maxReadable || wants.ReadFrom(metadata) != nil {
		return nil
	}
	return wants.Topics
}

// untilStop is ctx that ends with a shutdown too.
func (s *Server) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.stopping, func() { cancel(errShutdown) })
	return ctx, func() { stop(); cancel(nil) }
}
