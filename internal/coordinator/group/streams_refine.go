package group

import (
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
)

// refinement is what members are to have at an epoch of the target, where that is not the target itself: tasks that have to move stay while their
// state is warmed up where they go. It is in no record; after a reload it follows again from what members have.
type refinement struct {
	epoch    int32
	byMember map[string]tasks.Assignment // of those for whom it is not the target
}

// renamed is r for a static member that has another id now.
func (r *refinement) renamed(from, to string) *refinement {
	goal, ok := r.byMember[from]
	if !ok {
		return r
	}
	next := &refinement{epoch: r.epoch, byMember: maps.Clone(r.byMember)}
	delete(next.byMember, from)
	next.byMember[to] = goal
	return next
}

// same reports whether both mean the same, whatever their epochs.
func (r *refinement) same(o *refinement) bool {
	if r == nil || o == nil {
		return r == o
	}
	return maps.EqualFunc(r.byMember, o.byMember, tasks.Assignment.Equal)
}

// taskProgress is how far the copies of a member are, as it told last; what a task has in several changelogs is summed up. It is never changed.
type taskProgress struct {
	offsets, ends map[tasks.Task]int64
}

// lag is how far the copy of a task is behind; ok is false if that is not known.
func (p *taskProgress) lag(t tasks.Task) (n int64, ok bool) {
	if p == nil {
		return 0, false
	}
	at, has := p.offsets[t]
	end, knows := p.ends[t]
	return max(0, end-at), has && knows
}

// report takes in what a member tells of its copies. Only tasks that exist count, so that what is kept is bounded by the topics (P6).
func (g *streamsGroup) report(b *streamsBeat) {
	if b.joins {
		g.progress.Delete(b.member.id)
	}
	if b.req.TaskOffsets == nil && b.req.TaskEndOffsets == nil {
		return
	}
	next := &taskProgress{}
	if old, ok := g.progress.Get(b.member.id); ok {
		*next = *old
	}
	read := func(list []kmsg.TaskOffset, into *map[tasks.Task]int64) {
		if list == nil {
			return
		}
		*into = map[tasks.Task]int64{}
		for _, t := range list {
			if s := b.plan.subtopology(t.SubtopologyID); s != nil && t.Partition >= 0 && t.Partition < s.tasks {
				(*into)[tasks.Task{Subtopology: s.id, Partition: t.Partition}] = t.Offset
			}
		}
	}
	read(b.req.TaskOffsets, &next.offsets)
	read(b.req.TaskEndOffsets, &next.ends)
	g.progress.Set(b.member.id, next)
}

// goal is what a member is to have at the target's epoch.
func (g *streamsGroup) goal(member string) tasks.Assignment {
	if r := g.soft.Get().refined; r != nil && r.epoch == g.head.Get().targetEpoch {
		if goal, ok := r.byMember[member]; ok {
			return goal
		}
	}
	target, _ := g.targets.Get(member)
	return target
}

// refine decides which tasks warm up before they move to where the target has them.
func (g *streamsGroup) refine(op *coordinator.Op) {
	refined := g.refinement(op, g.head.Get().targetEpoch)
	if refined != nil {
		warm := 0
		for _, goal := range refined.byMember {
			warm += goal.Warmup.Len()
		}
		op.Note(g.id, fmt.Sprintf("%d tasks warm up before they move", warm))
	}
	g.change(func(s *streamsSoft) { s.refined = refined })
}

// refinement is nil when all members are to have their targets.
func (g *streamsGroup) refinement(op *coordinator.Op, epoch int32) *refinement {
	cfg := g.config(op.Image)
	plan, err := g.plan(op.Image)
	if err != nil || !plan.ready() || cfg.WarmupReplicas <= 0 {
		return nil
	}
	sorted := g.sorted()
	members := make([]tasks.Progress, len(sorted))
	for i, m := range sorted {
		p, reports := g.progress.Get(m.id)
		target, _ := g.targets.Get(m.id)
		members[i] = tasks.Progress{
			ID: m.id, Process: m.said.process, Target: target, Reports: reports,
			CaughtUp: func(t tasks.Task) bool {
				lag, known := p.lag(t)
				return known && lag <= cfg.AcceptableLag
			},
		}
		if m.at.epoch != epochStaticLeave { // who is away runs nothing
			members[i].Runs = m.at.assigned.Active
		}
	}
	stateful := func(id string) bool {
		s := plan.subtopology(id)
		return s != nil && len(s.changelogs) > 0
	}
	r := &refinement{epoch: epoch, byMember: map[string]tasks.Assignment{}}
	for i, goal := range tasks.Refine(members, stateful, cfg.WarmupReplicas) {
		if !goal.Equal(members[i].Target) {
			r.byMember[members[i].ID] = goal
		}
	}
	if len(r.byMember) == 0 {
		return nil
	}
	return r
}

// refineAgain looks whether tasks have warmed up, with every heartbeat while some do. The group must have settled: then what each member has is what
// it was told to have. A change gets an epoch of its own, so that all members hear of it.
func (g *streamsGroup) refineAgain(op *coordinator.Op, b *streamsBeat) {
	h, old := g.head.Get(), g.soft.Get().refined
	if old == nil || h.epoch != h.targetEpoch || h.settled < g.members.Len() || !b.plan.ready() {
		return
	}
	refined := g.refinement(op, h.epoch+1)
	if refined.same(old) {
		return
	}
	op.Emit(&streamsMetadata{group: g.id, streamsEpoch: h.next()})
	op.Emit(&streamsTarget{group: g.id, epoch: h.epoch + 1, at: h.targetAt})
	g.change(func(s *streamsSoft) { s.refined = refined })
	op.Note(g.id, fmt.Sprintf("epoch %d: tasks have warmed up", h.epoch+1))
	g.stir(op)
}
