package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Heartbeat keeps a member's session. Errors: INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, and
// REBALANCE_IN_PROGRESS, which tells the member to join again.
func (s *Shard) Heartbeat(op *coordinator.Op, c Client, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	g, _ := s.groups.Get(req.Group)
	if host, ok := g.(classicHost); ok {
		return host.consumerHeartbeat(op, c, req)
	}
	r := kmsg.NewPtrHeartbeatResponse()
	if classic, ok := g.(*classicGroup); ok {
		r.ErrorCode = int16(classic.heartbeat(op, req))
		return r
	}
	r.ErrorCode = int16(kafka.UnknownMemberID)
	if req.Group == "" {
		r.ErrorCode = int16(kafka.InvalidGroupID)
	}
	return r
}

func (g *classicGroup) heartbeat(op *coordinator.Op, req *kmsg.HeartbeatRequest) kafka.ErrorCode {
	if err := g.checkMember(req.MemberID, req.InstanceID); err != nil {
		return kafka.CodeOf(err)
	}
	h := g.head.Get()
	switch {
	case req.Generation != h.generation:
		return kafka.IllegalGeneration
	case h.state == stateEmpty:
		return kafka.UnknownMemberID
	}
	m, _ := g.members.Get(req.MemberID)
	g.touch(op, m)
	if h.state == statePreparing {
		return kafka.RebalanceInProgress
	}
	return kafka.None
}
