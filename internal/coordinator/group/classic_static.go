package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// replaceStatic gives the place of an instance to who has come up under its name with a new member id; whoever still waits under the old
// one is fenced. In a stable group the assignment stays, if the protocol does: that is what static members are for.
func (g *classicGroup) replaceStatic(op *coordinator.Op, j *joiner, oldID, id string) {
	h := g.head.Get()
	old, ok := g.members.Get(oldID)
	if !ok || h.state == stateEmpty {
		j.refuse(op, "", kafka.UnknownMemberID)
		return
	}
	if old.join != nil {
		old.join.Give(op, refusedJoin(oldID, kafka.FencedInstanceID))
	}
	if old.sync != nil {
		old.sync.Give(op, refusedSync(kafka.FencedInstanceID))
	}
	m := g.update(old, func(m *classicMember) {
		m.id, m.join, m.sync, m.isNew, m.session = id, nil, nil, false, &session{}
	})
	g.static.Set(*j.instance, id)
	if _, waiting := g.unsent.Get(oldID); waiting {
		g.unsent.Delete(oldID)
		g.unsent.Set(id, struct{}{})
	}
	g.change(func(h *classicHead) {
		if h.leader == oldID {
			h.leader = id
		}
	})
	m = g.refresh(op, j, m)
	g.touch(op, m)
	why := "static member " + *j.instance + " came up as " + id + " (" + j.reason + ")"
	switch {
	case h.state == statePreparing:
		g.completeIfAllJoined(op)
	case h.state == stateCompleting:
		// The leader may be assigning to the old id, under which nobody will be.
		g.prepareRebalance(op, why)
	case h.protocol == nil || !sameText(g.choose(), h.protocol):
		g.rebalanceOrGoOn(op, why+", which changes the protocol")
	default:
		op.Note(g.id, why+": no rebalance, it keeps its assignment")
		g.readTopics()
		g.save(op, h.since)
		m, _ = g.members.Get(id)
		m = g.update(m, func(m *classicMember) { m.join = nil })
		j.later.Give(op, g.replaced(j, m, h.leader))
	}
}

// replaced is the answer to a static member that keeps its place. From v9 on a leader can be told that there is nothing to assign; before
// that it is told that its old self leads, so that it does not assign either.
func (g *classicGroup) replaced(j *joiner, m *classicMember, leader string) *kmsg.JoinGroupResponse {
	r := g.joined(m)
	if j.version >= 9 {
		r.SkipAssignment = r.LeaderID == m.id
		return r
	}
	r.LeaderID, r.Members = leader, nil
	return r
}

func sameText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
