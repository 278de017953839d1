package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// consumerLeaves takes out a member that says so, or notes that a static one will be back.
func (s *Shard) consumerLeaves(op *coordinator.Op, req *kmsg.ConsumerGroupHeartbeatRequest, resp *kmsg.ConsumerGroupHeartbeatResponse) error {
	g, err := s.consumerGroupFor(op, req, false)
	if err != nil {
		return err
	}
	var m *consumerMember
	if req.InstanceID == nil {
		found := false
		if m, found = g.members.Get(req.MemberID); !found {
			return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", req.MemberID, g.id)
		}
	} else if m, err = g.staticMember(op, req.MemberID, *req.InstanceID, false, false); err != nil {
		return err
	}
	resp.MemberID, resp.MemberEpoch = &m.id, req.MemberEpoch
	if req.MemberEpoch == epochStaticLeave {
		op.Note(g.id, "static member "+*req.InstanceID+" leaves for a while")
		at := *m.at
		at.epoch, at.revoking = epochStaticLeave, held{}
		op.Emit(&consumerCurrentRecord{group: g.id, member: m.id, at: &at})
		g.stir(op)
		return nil
	}
	g.fence(op, m, "it leaves")
	return nil
}

// fence takes a member out of the group: what it had is free from now on, for whatever it does next it is told that it is no member (GRP-1).
// If only members of the classic protocol are left, the group becomes a classic one.
func (g *consumerGroup) fence(op *coordinator.Op, gone *consumerMember, why string) {
	op.Note(g.id, "member "+gone.id+" goes: "+why)
	if g.mayDowngrade(op, gone) {
		g.downgrade(op, gone.id, "the last member of the consumer protocol goes")
		return
	}
	g.removeMember(op, gone)
	g.membersGone(op)
}

// membersGone goes on after members were removed.
func (g *consumerGroup) membersGone(op *coordinator.Op) {
	g.forgetRegexes(op)
	g.bump(op)
	g.retarget(op)
}

// removeMember emits the tombstones of a member, and ends its timers.
func (g *consumerGroup) removeMember(op *coordinator.Op, m *consumerMember) {
	op.Emit(&consumerCurrentRecord{group: g.id, member: m.id})
	op.Emit(&consumerTargetMember{group: g.id, member: m.id, gone: true})
	op.Emit(&consumerMemberRecord{group: g.id, member: m.id})
	for _, timer := range [...]string{m.timers.session, m.timers.rebalance, m.timers.join, m.timers.sync} {
		op.Cancel(timer)
	}
}
