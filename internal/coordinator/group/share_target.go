package group

import (
	"fmt"
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
)

// bump raises the group's epoch.
func (g *shareGroup) bump(op *coordinator.Op) {
	op.Emit(&shareMetadata{group: g.id, epoch: g.head.Get().epoch + 1, hash: g.topicsHash(op.Image)})
	g.stirred.Set(op.Now)
}

// retarget computes what each member is to have if the epoch has risen since that was done last, as that of consumer groups. Only partitions
// whose state has begun are assigned.
func (g *shareGroup) retarget(op *coordinator.Op) {
	h := g.head.Get()
	if h.epoch <= h.targetEpoch || g.isEmpty() {
		return
	}
	if wait := assignmentWait(op.Now, h.targetAt, g.config(op.Image).Share.AssignmentInterval); wait > 0 && h.targetEpoch > 0 && g.hasTargets() {
		op.Schedule(g.assignTimer(), wait, func(op *coordinator.Op) {
			if g, ok := named[*shareGroup](g.s, g.id); ok {
				g.retarget(op)
			}
		})
		return
	}
	op.Atomic(false) // as in a consumer group
	begun := g.s.shareTopicsOf(g.id).initialized
	members, inputs, counts := g.sorted(), []assign.Member(nil), assign.Counts{}
	ids := topicIDs{img: op.Image, counts: counts}
	for _, m := range members {
		had, _ := g.targets.Get(m.id)
		inputs = append(inputs, assign.Member{ID: m.id, Topics: ids.of(m.said.topics, nil), Had: had})
	}
	for id := range counts {
		if len(begun.Topic(id)) == 0 {
			delete(counts, id)
		}
	}
	for i, set := range assign.Simple(inputs, counts) {
		set = set.And(begun)
		if had, known := g.targets.Get(members[i].id); !known || !set.Equal(had) {
			op.Emit(&shareTargetMember{group: g.id, member: members[i].id, target: set})
		}
	}
	op.Emit(&shareTarget{group: g.id, epoch: h.epoch, at: millis(op.Now)})
	op.Cancel(g.assignTimer())
	op.Note(g.id, fmt.Sprintf("epoch %d: %s assigns anew; members: %d, partitions: %d", h.epoch, assign.SimpleName, len(members), begun.Len()))
	g.stirred.Set(op.Now)
}

// hasTargets reports whether the last computation gave anybody anything. One that did not, because no state had begun yet, is no reason for the
// next to wait.
func (g *shareGroup) hasTargets() bool {
	for _, set := range g.targets.All() {
		if len(set) > 0 {
			return true
		}
	}
	return false
}

func (g *shareGroup) assignTimer() string { return timerKey("share assign", g.id) }

// reconcile brings a member to its target.
func (g *shareGroup) reconcile(op *coordinator.Op, m *shareMember, resubscribed bool) *shareMember {
	h := g.head.Get()
	if m.at.epoch == h.targetEpoch && !resubscribed {
		return m
	}
	// A target may be from before the member changed its subscription.
	target, _ := g.targets.Get(m.id)
	set := slices.DeleteFunc(slices.Clone(target), func(t assign.Topic) bool { return !m.subscribes(op.Image, t.ID) })
	if m.at.epoch == h.targetEpoch && set.Equal(m.at.assigned) {
		return m
	}
	op.Emit(&shareCurrentRecord{group: g.id, member: m.id, at: &shareCurrent{epoch: h.targetEpoch, previous: m.at.epoch, assigned: set}})
	m, _ = g.members.Get(m.id)
	return m
}
