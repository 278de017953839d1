package group

import (
	"fmt"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

func (g *classicGroup) joinTimer() string { return "classic/join/" + g.id }
func (g *classicGroup) syncTimer() string { return "classic/sync/" + g.id }

// rebalanceOrGoOn begins a rebalance, or ends the joining of one that is under way if it waits for nobody any more.
func (g *classicGroup) rebalanceOrGoOn(op *coordinator.Op, why string) {
	if g.in(stateEmpty, stateStable, stateCompleting) {
		g.prepareRebalance(op, why)
		return
	}
	op.Note(g.id, "during the rebalance: "+why)
	g.completeIfAllJoined(op)
}

// membersLeft goes on after members were removed.
func (g *classicGroup) membersLeft(op *coordinator.Op, why string) {
	if !g.in(stateEmpty) {
		g.rebalanceOrGoOn(op, why)
	}
}

// prepareRebalance asks all members to join again. What the last generation was assigned ends with it.
func (g *classicGroup) prepareRebalance(op *coordinator.Op, why string) {
	op.Note(g.id, "rebalance: "+why)
	h := g.head.Get()
	if h.state == stateCompleting {
		g.handOut(op, kafka.RebalanceInProgress)
	}
	g.endSync(op)
	g.to(op, statePreparing)
	if h.state != stateEmpty {
		g.completeOrWait(op)
		return
	}
	// The first members of a group rarely come alone: those that follow within the delay spare it a second rebalance.
	delay := g.s.env.Config(op.Image, g.id).InitialRebalanceDelay
	left := max(g.rebalanceTimeout()-delay, 0)
	g.change(func(h *classicHead) { h.grew = false })
	op.Schedule(g.joinTimer(), delay, func(op *coordinator.Op) { g.endDelay(op, delay, left) })
}

// endDelay extends the delay of the first rebalance if members have come meanwhile, up to their rebalance timeout.
func (g *classicGroup) endDelay(op *coordinator.Op, delay, left time.Duration) {
	if !g.current() || !g.in(statePreparing) {
		return
	}
	if !g.head.Get().grew || left == 0 {
		g.completeJoin(op)
		return
	}
	g.change(func(h *classicHead) { h.grew = false })
	next := min(g.s.env.Config(op.Image, g.id).InitialRebalanceDelay, left)
	rest := max(left-delay, 0)
	op.Schedule(g.joinTimer(), next, func(op *coordinator.Op) { g.endDelay(op, next, rest) })
}

// allJoined reports whether nobody is missing: no member, and no joiner that was just given an id.
func (g *classicGroup) allJoined() bool {
	return g.members.Len() == g.head.Get().joining && g.unnamed.Len() == 0
}

// completeIfAllJoined ends the joining if it waits for nobody. That of a group's first rebalance only its delay ends.
func (g *classicGroup) completeIfAllJoined(op *coordinator.Op) {
	if h := g.head.Get(); h.state == statePreparing && h.previous != stateEmpty && g.allJoined() {
		g.completeJoin(op)
	}
}

func (g *classicGroup) completeOrWait(op *coordinator.Op) {
	if g.allJoined() {
		g.completeJoin(op)
		return
	}
	op.Schedule(g.joinTimer(), g.rebalanceTimeout(), func(op *coordinator.Op) {
		if g.current() && g.in(statePreparing) {
			g.completeJoin(op)
		}
	})
}

// completeJoin begins the next generation with those who have joined. A static member that has not keeps its place until its session ends;
// others that have not are removed.
func (g *classicGroup) completeJoin(op *coordinator.Op) {
	op.Cancel(g.joinTimer())
	var late []string
	for _, m := range g.sorted() {
		if m.join == nil && m.instance == nil {
			late = append(late, m.id)
			g.drop(m.id)
		}
	}
	if len(late) > 0 {
		op.Note(g.id, "removed who did not join within the rebalance timeout: "+someOf(late))
	}
	if g.members.Len() > 0 && !g.electLeader() {
		op.Note(g.id, "no member joined within the rebalance timeout, waiting once more")
		op.Schedule(g.joinTimer(), g.rebalanceTimeout(), func(op *coordinator.Op) {
			if g.current() && g.in(statePreparing) {
				g.completeJoin(op)
			}
		})
		return
	}
	if g.members.Len() == 0 {
		g.change(func(h *classicHead) { h.generation++; h.protocol, h.leader = nil, "" })
		g.to(op, stateEmpty)
		h := g.head.Get()
		op.Note(g.id, fmt.Sprintf("generation %d: the group is empty", h.generation))
		g.save(op, h.since)
		return
	}
	chosen := g.choose()
	g.change(func(h *classicHead) { h.generation++; h.protocol = chosen })
	g.readTopics()
	g.to(op, stateCompleting)
	h := g.head.Get()
	op.Note(g.id, fmt.Sprintf("generation %d: members %d, %s assigns by %s", h.generation, g.members.Len(), h.leader, text(chosen)))
	g.endSync(op)
	for _, m := range g.sorted() {
		if m.join != nil {
			m.join.Give(op, g.joined(m))
		}
		m = g.update(m, func(m *classicMember) { m.join, m.isNew = nil, false })
		g.touch(op, m)
		g.unsent.Set(m.id, struct{}{})
	}
	generation := h.generation
	op.Schedule(g.syncTimer(), g.rebalanceTimeout(), func(op *coordinator.Op) { g.endUnsent(op, generation) })
}

// electLeader keeps the leader if it has joined, and else takes the member that has and is longest in the group.
func (g *classicGroup) electLeader() bool {
	h := g.head.Get()
	if m, ok := g.members.Get(h.leader); ok && m.join != nil {
		return true
	}
	for _, m := range g.sorted() {
		if m.join != nil {
			g.change(func(h *classicHead) { h.leader = m.id })
			return true
		}
	}
	return false
}

// endSync stops waiting for SyncGroup.
func (g *classicGroup) endSync(op *coordinator.Op) {
	op.Cancel(g.syncTimer())
	for id := range g.unsent.All() {
		g.unsent.Delete(id)
	}
}

// endUnsent removes members that have joined a generation and not asked for their assignment in time: their partitions would lie idle.
func (g *classicGroup) endUnsent(op *coordinator.Op, generation int32) {
	if !g.current() || g.head.Get().generation != generation || !g.in(stateCompleting, stateStable) || g.unsent.Len() == 0 {
		return
	}
	var late []string
	for _, m := range g.sorted() {
		if _, ok := g.unsent.Get(m.id); ok {
			late = append(late, m.id)
			g.drop(m.id)
		}
	}
	g.prepareRebalance(op, "members joined and never asked for their assignment, and were removed: "+someOf(late))
}

// someOf lists the first few of many names.
func someOf(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
