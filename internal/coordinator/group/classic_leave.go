package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// LeaveGroup removes members: one that leaves itself, or any number that an admin names, static ones by their instance id alone. Errors of
// the request: INVALID_GROUP_ID, UNKNOWN_MEMBER_ID (there is no such group); of a member: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID. Until v2
// the error of the one member is that of the request.
func (s *Shard) LeaveGroup(op *coordinator.Op, c Client, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse {
	g, _ := s.groups.Get(req.Group)
	if host, ok := g.(classicHost); ok {
		return host.consumerLeave(op, c, req)
	}
	r := kmsg.NewPtrLeaveGroupResponse()
	if classic, ok := g.(*classicGroup); ok {
		classic.leave(op, req, r)
		return r
	}
	r.ErrorCode = int16(kafka.UnknownMemberID)
	if req.Group == "" {
		r.ErrorCode = int16(kafka.InvalidGroupID)
	}
	return r
}

func (g *classicGroup) leave(op *coordinator.Op, req *kmsg.LeaveGroupRequest, r *kmsg.LeaveGroupResponse) {
	members := req.Members
	if req.Version < 3 && len(members) == 0 {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID = req.MemberID
		members = []kmsg.LeaveGroupRequestMember{one}
	}
	var left []string
	for i := range members {
		m := &members[i]
		answer := kmsg.NewLeaveGroupResponseMember()
		answer.MemberID, answer.InstanceID = m.MemberID, m.InstanceID
		if err := g.leaves(op, m); err != nil {
			answer.ErrorCode = int16(kafka.CodeOf(err))
		} else {
			name := m.MemberID
			if name == "" {
				name = text(m.InstanceID)
			}
			left = append(left, name+" ("+reason(m.Reason)+")")
		}
		r.Members = append(r.Members, answer)
	}
	if req.Version < 3 {
		r.ErrorCode, r.Members = r.Members[0].ErrorCode, nil
	}
	if len(left) > 0 {
		g.membersLeft(op, "left: "+someOf(left))
	}
}

// leaves removes one member, or one that was given an id and has not come back with it.
func (g *classicGroup) leaves(op *coordinator.Op, req *kmsg.LeaveGroupRequestMember) error {
	id := req.MemberID
	if _, ok := g.unnamed.Get(id); ok {
		g.drop(id)
		return nil
	}
	if id == "" {
		if req.InstanceID == nil {
			return kafka.UnknownMemberID
		}
		id, _ = g.static.Get(*req.InstanceID)
	}
	if err := g.checkMember(id, req.InstanceID); err != nil {
		return err
	}
	m, _ := g.members.Get(id)
	g.expel(op, m)
	return nil
}

// expel removes a member. Whoever waits under its id is told UNKNOWN_MEMBER_ID and begins again, if it lives.
func (g *classicGroup) expel(op *coordinator.Op, m *classicMember) {
	if m.join != nil {
		m.join.Give(op, refusedJoin("", kafka.UnknownMemberID))
	}
	if m.sync != nil {
		m.sync.Give(op, refusedSync(kafka.UnknownMemberID))
	}
	g.drop(m.id)
}
