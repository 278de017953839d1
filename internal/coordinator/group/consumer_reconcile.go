package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// reconcile brings a member a step closer to its target, if there is a step to take. owned is what the member says it has; told is false when
// it says nothing, which confirms nothing; resubscribed is whether it has just changed what it subscribes to.
//
// This is where GRP-1 is kept. What a member holds is what it is assigned and what it has to give up but may have still. A partition leaves
// what it holds only when the member says what it has and that is not among it, or when it is fenced; and it is granted only when nobody else
// holds it.
func (g *consumerGroup) reconcile(op *coordinator.Op, m *consumerMember, owned assign.Partitions, told, resubscribed bool) *consumerMember {
	h := g.head.Get()
	if m.at.epoch == epochStaticLeave {
		return m
	}
	next := g.nextCurrent(op, m, h.targetEpoch, owned, told, resubscribed)
	if next.equal(m.at) {
		return m
	}
	op.Emit(&consumerCurrentRecord{group: g.id, member: m.id, at: next})
	if m.at.revoking.Len() > next.revoking.Len() || m.at.assigned.Len()+m.at.revoking.Len() > next.assigned.Len()+next.revoking.Len() {
		g.stir(op) // others wait for what it gave up
	}
	m, _ = g.members.Get(m.id)
	// Members of the classic protocol have the timers of joining and syncing instead.
	if m.said.classic == nil {
		if next.state == memberUnrevoked {
			g.watchRevocation(op, m)
		} else {
			op.Cancel(m.timers.rebalance)
		}
	}
	return m
}

// nextCurrent is the next step of a member; where it is when it has to wait.
func (g *consumerGroup) nextCurrent(op *coordinator.Op, m *consumerMember, targetEpoch int32, owned assign.Partitions, told, resubscribed bool) *consumerCurrent {
	at := m.at
	hasStill := func(set assign.Partitions) bool { return len(set) > 0 && (!told || owned.Meets(set)) }
	if at.state == memberStable && at.epoch == targetEpoch || at.state == memberUnrevoked && hasStill(at.revoking.Partitions) {
		if resubscribed {
			return g.dropUnsubscribed(op, m, hasStill)
		}
		return at
	}
	target, _ := g.targets.Get(m.id)
	// A target may be from before the member changed its subscription.
	target = g.subscribed(op, m, target)
	keep := at.assigned.And(target)
	drop := at.assigned.Minus(keep)
	if hasStill(drop) {
		return &consumerCurrent{
			epoch: at.epoch, previous: at.epoch, state: memberUnrevoked,
			assigned: hold(keep, at.epoch, at.epoch, at.assigned), revoking: hold(drop, at.epoch, at.epoch, at.assigned, at.revoking),
		}
	}
	granted, all := g.free(m, target.Minus(keep))
	next := &consumerCurrent{epoch: targetEpoch, previous: at.epoch, state: memberStable}
	if !all {
		next.state = memberUnreleased
	}
	next.assigned = hold(keep.Or(granted), targetEpoch, at.epoch, at.assigned)
	if next.state == at.state && next.epoch == at.epoch && next.assigned.Equal(at.assigned.Partitions) {
		return at // it still waits, and its former epoch is still good
	}
	return next
}

// dropUnsubscribed takes from a member that is where it is to be, or gives up partitions already, those of topics it no longer subscribes to:
// its target may be computed later.
func (g *consumerGroup) dropUnsubscribed(op *coordinator.Op, m *consumerMember, hasStill func(assign.Partitions) bool) *consumerCurrent {
	at := m.at
	keep := g.subscribed(op, m, at.assigned.Partitions)
	if keep.Len() == at.assigned.Len() {
		return at
	}
	drop := at.assigned.Minus(keep).Or(at.revoking.Partitions)
	next := &consumerCurrent{epoch: at.epoch, previous: at.epoch, state: at.state, assigned: hold(keep, at.epoch, at.epoch, at.assigned)}
	if hasStill(drop) {
		next.state, next.revoking = memberUnrevoked, hold(drop, at.epoch, at.epoch, at.assigned, at.revoking)
	}
	return next
}

// subscribed is what of a set the member subscribes to.
func (g *consumerGroup) subscribed(op *coordinator.Op, m *consumerMember, set assign.Partitions) assign.Partitions {
	for i := range set {
		if !g.subscribes(m, op.Image, set[i].ID) {
			kept := append(assign.Partitions(nil), set[:i]...)
			for _, t := range set[i+1:] {
				if g.subscribes(m, op.Image, t.ID) {
					kept = append(kept, t)
				}
			}
			return kept
		}
	}
	return set
}

// free is what of a set nobody else holds; all is whether that is all of it.
func (g *consumerGroup) free(m *consumerMember, set assign.Partitions) (free assign.Partitions, all bool) {
	all = true
	var list []assign.Topic
	for _, t := range set {
		open := make([]int32, 0, len(t.Partitions))
		for _, part := range t.Partitions {
			if g.isFree(m, t.ID, part) {
				open = append(open, part)
			} else {
				all = false
			}
		}
		list = append(list, assign.Topic{ID: t.ID, Partitions: open})
	}
	return assign.Of(list), all
}

func (g *consumerGroup) isFree(m *consumerMember, topic kafka.UUID, partition int32) bool {
	owner, held := g.owners.Get(topicPartition{topic, partition})
	return !held || owner == m.id
}
