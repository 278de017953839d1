package group

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/metadata"
)

// heard notes that a member lives. Its session's timer is set when it joins; from then on the timer looks after itself.
func (g *streamsGroup) heard(op *coordinator.Op, m *streamsMember, joins bool) {
	fresh := m.pulse.seen.IsZero()
	m.pulse.seen = op.Now
	if fresh || joins {
		g.watch(op, m, g.config(op.Image).SessionTimeout)
	}
}

// watch sets the timer of a member's session.
func (g *streamsGroup) watch(op *coordinator.Op, m *streamsMember, after time.Duration) {
	id := m.id
	op.Schedule(m.sessionTimer, after, func(op *coordinator.Op) {
		g, m, ok := g.s.streamsMember(g.id, id)
		if !ok {
			return
		}
		timeout := g.config(op.Image).SessionTimeout
		if left := timeout - op.Now.Sub(m.pulse.seen); left > 0 {
			g.watch(op, m, left)
			return
		}
		g.fence(op, m, "nothing was heard of it for "+timeout.String())
	})
}

// watchRevocation sets the timer of a member that has to give up tasks. It stands still with the tasks that others wait for until then.
func (g *streamsGroup) watchRevocation(op *coordinator.Op, m *streamsMember) {
	id, epoch := m.id, m.at.epoch
	op.Schedule(m.rebalanceTimer, m.rebalanceTimeout(), func(op *coordinator.Op) {
		if g, m, ok := g.s.streamsMember(g.id, id); ok && m.at.epoch == epoch && m.at.state == memberUnrevoked {
			g.fence(op, m, "it did not give up tasks within "+m.rebalanceTimeout().String())
		}
	})
}

// streamsMember finds a member of a streams group.
func (s *Shard) streamsMember(group, id string) (*streamsGroup, *streamsMember, bool) {
	g, ok := named[*streamsGroup](s, group)
	if !ok {
		return nil, nil, false
	}
	m, ok := g.members.Get(id)
	return g, m, ok
}

// load gives every member a session from now on (GRP-6), looks whether topics changed while nobody led the shard, and goes on with what was under
// way: an assignment that was put off is not put off again.
func (g *streamsGroup) load(op *coordinator.Op) {
	for _, m := range g.sorted() {
		m.pulse.seen = time.Time{}
		g.heard(op, m, true)
		if m.at.state == memberUnrevoked {
			g.watchRevocation(op, m)
		}
		if len(m.at.assigned.Warmup) > 0 {
			g.progress.Set(m.id, &taskProgress{}) // it told how far its copies are, or it would have none
		}
	}
	if g.isEmpty() {
		return
	}
	g.noticeTopics(op)
	g.retarget(op)
	if g.soft.Get().refined == nil {
		g.refine(op)
	}
}

// imageChanged finds out whether the change touches the topics that tasks need.
func (g *streamsGroup) imageChanged(op *coordinator.Op, d *metadata.Delta) {
	t := g.topology.Get()
	for i := range d.Topics {
		if after, before := d.Topics[i].After, d.Topics[i].Before; after != nil && t.uses(after.Name) || before != nil && t.uses(before.Name) {
			g.change(func(s *streamsSoft) { s.asked, s.failed = time.Time{}, "" })
			g.noticeTopics(op)
			return
		}
	}
}

// pace is when a member should ask again; see consumer_pace.go.
func (g *streamsGroup) pace(op *coordinator.Op) time.Duration {
	h := g.head.Get()
	there := h.epoch == h.targetEpoch && h.settled == g.members.Len()
	recent := op.Now.Sub(g.soft.Get().stirred) < paceWindow
	return paceOf(!there && recent, g.s.crowd.Get(), g.config(op.Image).HeartbeatInterval)
}
