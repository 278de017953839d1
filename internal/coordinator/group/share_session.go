package group

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
)

// fence takes a member out of the group.
func (g *shareGroup) fence(op *coordinator.Op, m *shareMember, why string) {
	op.Note(g.id, "member "+m.id+" goes: "+why)
	g.removeMember(op, m)
	g.bump(op)
	g.retarget(op)
}

func (g *shareGroup) removeMember(op *coordinator.Op, m *shareMember) {
	op.Emit(&shareCurrentRecord{group: g.id, member: m.id})
	op.Emit(&shareTargetMember{group: g.id, member: m.id, gone: true})
	op.Emit(&shareMemberRecord{group: g.id, member: m.id})
	op.Cancel(m.session)
}

// heard notes that a member lives.
func (g *shareGroup) heard(op *coordinator.Op, m *shareMember, joins bool) {
	fresh := m.pulse.seen.IsZero()
	m.pulse.seen = op.Now
	if fresh || joins {
		g.watch(op, m.id, m.session, g.config(op.Image).Share.SessionTimeout)
	}
}

// watch sets the timer of a member's session.
func (g *shareGroup) watch(op *coordinator.Op, id, timer string, after time.Duration) {
	op.Schedule(timer, after, func(op *coordinator.Op) {
		g, ok := named[*shareGroup](g.s, g.id)
		if !ok {
			return
		}
		m, ok := g.members.Get(id)
		if !ok {
			return
		}
		timeout := g.config(op.Image).Share.SessionTimeout
		if left := timeout - op.Now.Sub(m.pulse.seen); left > 0 {
			g.watch(op, id, timer, left)
			return
		}
		g.fence(op, m, "nothing was heard of it for "+timeout.String())
	})
}
