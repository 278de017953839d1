package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
)

// reconcile brings a member a step closer to its goal, if there is a step to take. owned is what the member says it has.
//
// This is where GRP-1 is kept for tasks. What a member holds is what it is assigned and what it has to give up but may have still. A task leaves
// what it holds only when the member says what it has and that is not among it, or when it is fenced; and it is granted as active only when nobody
// else holds it as active, and in any role only when nobody else of the same process holds it at all: the state is in one directory.
func (g *streamsGroup) reconcile(op *coordinator.Op, m *streamsMember, owned ownedTasks) *streamsMember {
	if m.at.epoch == epochStaticLeave {
		return m
	}
	next := g.nextCurrent(m, owned)
	if next.equal(m.at) {
		return m
	}
	op.Emit(&streamsCurrentRecord{group: g.id, member: m.id, at: next})
	if m.at.assigned.Len()+m.at.revoking.Len() > next.assigned.Len()+next.revoking.Len() {
		g.stir(op) // others wait for what it gave up
	}
	m, _ = g.members.Get(m.id)
	if next.state == memberUnrevoked {
		g.watchRevocation(op, m)
	} else {
		op.Cancel(m.rebalanceTimer)
	}
	return m
}

// nextCurrent is the next step of a member; where it is when it has to wait.
func (g *streamsGroup) nextCurrent(m *streamsMember, owned ownedTasks) *streamsCurrent {
	at, targetEpoch := m.at, g.head.Get().targetEpoch
	hasStill := func(a tasks.Assignment) bool {
		return !a.IsEmpty() && (!owned.told || owned.Active.Meets(a.Active) || owned.Standby.Meets(a.Standby) || owned.Warmup.Meets(a.Warmup))
	}
	if at.state == memberStable && at.epoch == targetEpoch || at.state == memberUnrevoked && hasStill(at.revoking.Assignment) {
		return at
	}
	has, goal := at.assigned.Assignment, g.goal(m.id)
	drop := dropped(has, goal)
	keep := tasks.Assignment{Active: has.Active.Minus(drop.Active), Standby: has.Standby.Minus(drop.Standby), Warmup: has.Warmup.Minus(drop.Warmup)}
	if hasStill(drop) {
		return &streamsCurrent{
			epoch: at.epoch, previous: at.epoch, state: memberUnrevoked,
			assigned: holdTasks(keep, at.epoch, at.epoch, at.assigned), revoking: holdTasks(drop, at.epoch, at.epoch, at.assigned, at.revoking),
		}
	}
	granted, all := g.grant(m, keep, goal)
	next := &streamsCurrent{epoch: targetEpoch, previous: at.epoch, state: memberStable}
	if !all {
		next.state = memberUnreleased
	}
	next.assigned = holdTasks(granted, targetEpoch, at.epoch, at.assigned)
	if next.state == at.state && next.epoch == at.epoch && granted.Equal(has) {
		return at // it still waits, and its former epoch is still good
	}
	return next
}

// dropped is what a member has to give up on its way to a goal. A copy that becomes active, or a copy of the other kind, is not given up: it
// becomes that where it is. A task that is active and is not to be must first be stopped, whatever becomes of it.
func dropped(has, goal tasks.Assignment) tasks.Assignment {
	return tasks.Assignment{
		Active:  has.Active.Minus(goal.Active),
		Standby: has.Standby.Minus(goal.Standby).Minus(goal.Active).Minus(goal.Warmup),
		Warmup:  has.Warmup.Minus(goal.Warmup).Minus(goal.Active).Minus(goal.Standby),
	}
}

// grant gives the member what of its goal is free, beside what it keeps; all is whether that is all of it. A copy that is to become active and may
// not yet stays a copy.
func (g *streamsGroup) grant(m *streamsMember, keep, goal tasks.Assignment) (got tasks.Assignment, all bool) {
	all = true
	free := func(t tasks.Task) bool {
		ok := g.isFree(m, t)
		all = all && ok
		return ok
	}
	got.Active = goal.Active.Filter(func(t tasks.Task) bool {
		if keep.Active.Has(t) {
			return true
		}
		owner, held := g.active.Get(t)
		if held && owner != m.id {
			all = false
			return false
		}
		return free(t)
	})
	got.Standby = goal.Standby.Filter(free)
	got.Warmup = goal.Warmup.Filter(free)
	waits := goal.Active.Minus(got.Active)
	got.Standby = got.Standby.Or(keep.Standby.And(waits))
	got.Warmup = got.Warmup.Or(keep.Warmup.And(waits))
	return got, all
}

// isFree reports whether nobody else of the member's process has a task.
func (g *streamsGroup) isFree(m *streamsMember, t tasks.Task) bool {
	owner, held := g.local.Get(localTask{t, m.said.process})
	return !held || owner == m.id
}
