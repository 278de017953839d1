package group

import (
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
)

// delay puts the first assignment off, so that an application whose instances start together is assigned once.
func (g *streamsGroup) delay(op *coordinator.Op, by time.Duration) {
	g.change(func(s *streamsSoft) { s.delayed = true })
	op.Schedule(g.delayTimer(), by, func(op *coordinator.Op) {
		if g, ok := named[*streamsGroup](g.s, g.id); ok {
			g.change(func(s *streamsSoft) { s.delayed = false })
			g.retarget(op)
		}
	})
}

// retarget computes what each member is to have if the epoch has risen since that was done last. Two computations are the configured interval
// apart: the first of several changes is answered at once, those that follow within the interval together, when it ends.
func (g *streamsGroup) retarget(op *coordinator.Op) {
	h := g.head.Get()
	if h.epoch <= h.targetEpoch || g.isEmpty() || g.soft.Get().delayed {
		return
	}
	if wait := assignmentWait(op.Now, h.targetAt, g.config(op.Image).AssignmentInterval); wait > 0 && h.targetAt > 0 {
		op.Schedule(g.assignTimer(), wait, func(op *coordinator.Op) {
			if g, ok := named[*streamsGroup](g.s, g.id); ok {
				g.retarget(op)
			}
		})
		return
	}
	members := g.sorted()
	moved := 0
	for i, target := range g.assign(op, members) {
		had, known := g.targets.Get(members[i].id)
		if !known || !target.Equal(had) {
			moved += target.Active.Minus(had.Active).Len()
			op.Emit(&streamsTargetMember{group: g.id, member: members[i].id, target: target})
		}
	}
	op.Emit(&streamsTarget{group: g.id, epoch: h.epoch, at: millis(op.Now)})
	op.Cancel(g.assignTimer())
	op.Note(g.id, fmt.Sprintf("epoch %d: %s assigns anew, %d members, %d active tasks come to another member", h.epoch, tasks.StickyName, len(members), moved))
	g.refine(op)
	g.stir(op)
}

// assign asks the assignor. While topics are missing nobody is to have anything.
func (g *streamsGroup) assign(op *coordinator.Op, members []*streamsMember) []tasks.Assignment {
	plan, err := g.plan(op.Image)
	if err != nil || !plan.ready() {
		return make([]tasks.Assignment, len(members))
	}
	inputs := make([]tasks.Member, len(members))
	for i, m := range members {
		had, _ := g.targets.Get(m.id)
		inputs[i] = tasks.Member{ID: m.id, Process: m.said.process, Tags: m.said.tags, Had: had}
	}
	cfg := g.config(op.Image)
	return tasks.Assign(inputs, plan.sources(), tasks.Options{Standbys: cfg.StandbyReplicas, RackTags: cfg.RackTags})
}

func (g *streamsGroup) assignTimer() string { return timerKey("streams assign", g.id) }
func (g *streamsGroup) delayTimer() string  { return timerKey("streams delay", g.id) }

// noticeTopics raises the epoch if the topics required came, went or grew.
func (g *streamsGroup) noticeTopics(op *coordinator.Op) {
	if g.isEmpty() {
		return
	}
	plan, err := g.plan(op.Image)
	if err != nil || !g.isBehind(op, plan) {
		return // an error is told to whoever sends a heartbeat
	}
	op.Note(g.id, "topics of the application, or its settings, changed")
	g.bump(op, plan)
	g.retarget(op)
}
