package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Members of the classic protocol in a consumer group. What the broker would tell a member of KIP-848 in the answer to a heartbeat, these are
// told by REBALANCE_IN_PROGRESS: they join again, saying what they still have, and sync, hearing what they are to have. Their generation is
// their member epoch. They wait for nobody else.

var _ classicHost = (*consumerGroup)(nil)

// classicMember returns the member that a request of the classic protocol comes from.
func (g *consumerGroup) classicMember(id string, instance *string) (m *consumerMember, err error) {
	if instance != nil {
		if m, err = g.staticMember(nil, id, *instance, false, true); err != nil {
			return nil, err
		}
	} else if m, _ = g.members.Get(id); m == nil {
		return nil, kafka.UnknownMemberID
	}
	if m.said.classic == nil {
		return nil, kafka.UnknownMemberID
	}
	return m, nil
}

// consumerSync is SyncGroup: it hands out what the member has at its epoch.
func (g *consumerGroup) consumerSync(op *coordinator.Op, _ Client, req *kmsg.SyncGroupRequest, later laterSync) {
	m, err := g.classicMember(req.MemberID, req.InstanceID)
	if err == nil {
		err = g.checkSync(op, m, req)
	}
	if err != nil {
		later.Give(op, refusedSync(kafka.CodeOf(err)))
		return
	}
	op.Cancel(m.timers.sync)
	g.heard(op, m, false)
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.ProtocolType, resp.Protocol = req.ProtocolType, req.Protocol
	said, _ := readClassicSubscription(m.said.classic.protocols[0].metadata)
	resp.MemberAssignment = appendClassicAssignment(nil, said.version, op.Image, m.at.assigned.Partitions)
	later.Give(op, resp)
}

func (g *consumerGroup) checkSync(op *coordinator.Op, m *consumerMember, req *kmsg.SyncGroupRequest) error {
	switch {
	case req.Generation != m.at.epoch:
		return kafka.IllegalGeneration
	case req.ProtocolType != nil && *req.ProtocolType != consumerProtocolType, req.Protocol != nil && *req.Protocol != m.said.classic.protocols[0].name:
		return kafka.InconsistentGroupProtocol
	case m.at.epoch < g.head.Get().targetEpoch && m.at.state != memberUnrevoked:
		g.askToJoin(op, m)
		return kafka.RebalanceInProgress
	}
	return nil
}

// consumerHeartbeat is Heartbeat.
func (g *consumerGroup) consumerHeartbeat(op *coordinator.Op, _ Client, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	resp := kmsg.NewPtrHeartbeatResponse()
	m, err := g.classicMember(req.MemberID, req.InstanceID)
	switch {
	case err != nil:
		resp.ErrorCode = int16(kafka.CodeOf(err))
	case req.Generation != m.at.epoch:
		resp.ErrorCode = int16(kafka.IllegalGeneration)
	default:
		g.heard(op, m, false)
		if g.shouldJoin(m) {
			g.askToJoin(op, m)
			resp.ErrorCode = int16(kafka.RebalanceInProgress)
		}
	}
	return resp
}

// shouldJoin reports whether joining again brings the member further: there is a new target, it has to confirm what it gave up, or what it
// waits for is free.
func (g *consumerGroup) shouldJoin(m *consumerMember) bool {
	if m.at.epoch < g.head.Get().targetEpoch || m.at.state == memberUnrevoked {
		return true
	}
	if m.at.state != memberUnreleased {
		return false
	}
	target, _ := g.targets.Get(m.id)
	_, all := g.free(m, target.Minus(m.at.assigned.Partitions))
	return all
}

// askToJoin gives the member, which is being told to join again, its rebalance timeout for that.
func (g *consumerGroup) askToJoin(op *coordinator.Op, m *consumerMember) {
	if m.pulse.asked.IsZero() {
		m.pulse.asked = op.Now
		g.fenceAfter(op, m, m.timers.join, "it was asked to join again and did not")
	}
}

// fenceAfter sets a timer that takes the member out of the group.
func (g *consumerGroup) fenceAfter(op *coordinator.Op, m *consumerMember, timer, why string) {
	id, pulse := m.id, m.pulse
	op.Schedule(timer, m.rebalanceTimeout(), func(op *coordinator.Op) {
		if g, m, ok := g.s.consumerMember(g.id, id); ok && m.pulse == pulse {
			g.fence(op, m, why+" within "+m.rebalanceTimeout().String())
		}
	})
}

// consumerLeave is LeaveGroup. It takes out members of either protocol: an admin that names a member need not know which it speaks.
func (g *consumerGroup) consumerLeave(op *coordinator.Op, _ Client, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	resp := kmsg.NewPtrLeaveGroupResponse()
	members := req.Members
	if req.Version < 3 {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID = req.MemberID
		members = []kmsg.LeaveGroupRequestMember{one}
	}
	var last *consumerMember
	left := false
	for i := range members {
		answer := kmsg.NewLeaveGroupResponseMember()
		answer.MemberID, answer.InstanceID = members[i].MemberID, members[i].InstanceID
		m, err := g.leaver(&members[i])
		if err != nil {
			answer.ErrorCode = int16(kafka.CodeOf(err))
			resp.Members = append(resp.Members, answer)
			continue
		}
		resp.Members = append(resp.Members, answer)
		op.Note(g.id, "member "+m.id+" leaves: "+text(members[i].Reason))
		if m.said.classic == nil {
			m, last = last, m // one of the consumer protocol stays to the end: with the last of them the group may become a classic one
		}
		if m != nil && m != last {
			g.removeMember(op, m)
			left = true
		}
	}
	switch {
	case last != nil:
		g.fence(op, last, "it was told to leave")
	case left:
		g.membersGone(op)
	}
	if req.Version < 3 {
		resp.ErrorCode, resp.Members = resp.Members[0].ErrorCode, nil
	}
	return resp
}

// leaver finds who leaves. An admin names a static member by its instance id alone.
func (g *consumerGroup) leaver(req *kmsg.LeaveGroupRequestMember) (*consumerMember, error) {
	id := req.MemberID
	if id == "" && req.InstanceID != nil {
		id, _ = g.instances.Get(*req.InstanceID)
	}
	if req.InstanceID != nil {
		return g.staticMember(nil, id, *req.InstanceID, false, true)
	}
	if m, ok := g.members.Get(id); ok {
		return m, nil
	}
	return nil, kafka.UnknownMemberID
}
