package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// streamsLeaves takes out a member that says so, or notes that a static one will be back.
func (s *Shard) streamsLeaves(op *coordinator.Op, req *kmsg.StreamsGroupHeartbeatRequest, resp *kmsg.StreamsGroupHeartbeatResponse) error {
	b := &streamsBeat{req: req}
	if err := b.findGroup(s, req.Group); err != nil {
		return err
	}
	g := b.group
	m, found := g.members.Get(req.MemberID)
	if req.InstanceID != nil {
		var err error
		if m, err = g.staticMember(req.MemberID, *req.InstanceID); err != nil {
			return err
		}
	} else if !found {
		return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", req.MemberID, g.id)
	}
	if req.ShutdownApplication {
		g.requestShutdown(op, m)
	}
	resp.MemberID, resp.MemberEpoch = m.id, req.MemberEpoch
	if req.MemberEpoch == epochStaticLeave {
		op.Note(g.id, "static member "+*req.InstanceID+" leaves for a while")
		at := *m.at
		at.epoch, at.revoking = epochStaticLeave, streamsHeld{}
		at.assigned = holdTasks(at.assigned.Assignment, 0, 0) // it will be back at epoch 0
		op.Emit(&streamsCurrentRecord{group: g.id, member: m.id, at: &at})
		op.Cancel(m.rebalanceTimer)
		g.stir(op)
		return nil
	}
	g.fence(op, m, "it leaves")
	return nil
}

// fence takes a member out of the group: what it had is free from now on, for whatever it does next it is told that it is no member (GRP-1).
func (g *streamsGroup) fence(op *coordinator.Op, gone *streamsMember, why string) {
	op.Note(g.id, "member "+gone.id+" goes: "+why)
	g.removeMember(op, gone)
	op.Emit(&streamsMetadata{group: g.id, streamsEpoch: g.head.Get().next()})
	if gone.said.endpoint != nil {
		g.change(func(s *streamsSoft) { s.endpoints++ })
	}
	g.stir(op)
	if g.isEmpty() {
		// Nothing is left to assign, and what was asked for is nobody's wish any more.
		op.Emit(&streamsTarget{group: g.id, epoch: g.head.Get().epoch}) // without a time: who comes next need not wait
		g.change(func(s *streamsSoft) { s.shutdown, s.delayed, s.refined = "", false, nil })
		op.Cancel(g.delayTimer())
		op.Cancel(g.assignTimer())
		return
	}
	g.retarget(op)
}

// removeMember emits the tombstones of a member, and ends its timers.
func (g *streamsGroup) removeMember(op *coordinator.Op, m *streamsMember) {
	op.Emit(&streamsCurrentRecord{group: g.id, member: m.id})
	op.Emit(&streamsTargetMember{group: g.id, member: m.id, gone: true})
	op.Emit(&streamsMemberRecord{group: g.id, member: m.id})
	op.Cancel(m.sessionTimer)
	op.Cancel(m.rebalanceTimer)
}

// requestShutdown tells all members to end, until the group is empty. The first who asks is named.
func (g *streamsGroup) requestShutdown(op *coordinator.Op, m *streamsMember) {
	if g.soft.Get().shutdown == "" {
		op.Note(g.id, "member "+m.id+" asks for the whole application to end")
		g.change(func(s *streamsSoft) { s.shutdown = m.id })
	}
}
