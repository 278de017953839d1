package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Members of the classic protocol have no place in a streams group that has members: an application changes its protocol as a whole. An empty group
// makes room for them, which JoinGroup sees to.

func (g *streamsGroup) consumerJoin(op *coordinator.Op, _ Client, req *kmsg.JoinGroupRequest, later *coordinator.Reply[*kmsg.JoinGroupResponse]) {
	later.Give(op, refusedJoin(req.MemberID, kafka.InconsistentGroupProtocol))
}

func (g *streamsGroup) consumerSync(op *coordinator.Op, _ Client, _ *kmsg.SyncGroupRequest, later *coordinator.Reply[*kmsg.SyncGroupResponse]) {
	later.Give(op, refusedSync(kafka.UnknownMemberID))
}

func (g *streamsGroup) consumerHeartbeat(*coordinator.Op, Client, *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	r := kmsg.NewPtrHeartbeatResponse()
	r.ErrorCode = int16(kafka.UnknownMemberID)
	return r
}

func (g *streamsGroup) consumerLeave(*coordinator.Op, Client, *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	r := kmsg.NewPtrLeaveGroupResponse()
	r.ErrorCode = int16(kafka.UnknownMemberID)
	return r
}
