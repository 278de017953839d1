package group

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/metadata"
)

// heard notes that a member lives. Its session's timer is set when it joins; from then on the timer looks after itself.
func (g *consumerGroup) heard(op *coordinator.Op, m *consumerMember, joins bool) {
	fresh := m.pulse.seen.IsZero()
	m.pulse.seen = op.Now
	if fresh || joins {
		g.watch(op, m, m.sessionTimeout(g.config(op.Image).Consumer.SessionTimeout))
	}
}

// watch sets the timer of a member's session.
func (g *consumerGroup) watch(op *coordinator.Op, m *consumerMember, after time.Duration) {
	id := m.id
	op.Schedule(m.timers.session, after, func(op *coordinator.Op) {
		g, m, ok := g.s.consumerMember(g.id, id)
		if !ok {
			return
		}
		timeout := m.sessionTimeout(g.config(op.Image).Consumer.SessionTimeout)
		if left := timeout - op.Now.Sub(m.pulse.seen); left > 0 {
			g.watch(op, m, left)
			return
		}
		g.fence(op, m, "nothing was heard of it for "+timeout.String())
	})
}

// watchRevocation sets the timer of a member that has to give up partitions. It stands still with the partitions that others wait for until
// then.
func (g *consumerGroup) watchRevocation(op *coordinator.Op, m *consumerMember) {
	id, epoch := m.id, m.at.epoch
	op.Schedule(m.timers.rebalance, m.rebalanceTimeout(), func(op *coordinator.Op) {
		if g, m, ok := g.s.consumerMember(g.id, id); ok && m.at.epoch == epoch && m.at.state == memberUnrevoked {
			g.fence(op, m, "it did not give up partitions within "+m.rebalanceTimeout().String())
		}
	})
}

// consumerMember finds a member of a consumer group.
func (s *Shard) consumerMember(group, id string) (*consumerGroup, *consumerMember, bool) {
	g, ok := named[*consumerGroup](s, group)
	if !ok {
		return nil, nil, false
	}
	m, ok := g.members.Get(id)
	return g, m, ok
}

// load gives every member a session from now on (GRP-6), and looks whether topics changed while nobody led the shard.
func (g *consumerGroup) load(op *coordinator.Op) {
	op.Atomic(false) // groups have nothing to do with each other
	for _, m := range g.sorted() {
		m.pulse.seen = time.Time{}
		g.heard(op, m, true)
		if m.said.classic != nil {
			// Whether it was to join or to sync is not known; if it lives, its next heartbeat tells it.
			continue
		}
		if m.at.state == memberUnrevoked {
			g.watchRevocation(op, m)
		}
	}
	g.refreshRegexes(op)
	g.noticeTopics(op)
	g.retarget(op)
	g.stir(op) // whoever was on its way goes on
}

// imageChanged finds out whether the change touches what members subscribe to.
func (g *consumerGroup) imageChanged(op *coordinator.Op, d *metadata.Delta) {
	op.Atomic(false) // groups have nothing to do with each other
	touched := g.touchedBy(d)
	g.updateRegexes(op, d)
	if touched || g.touchedBy(d) {
		g.noticeTopics(op)
	}
}

func (g *consumerGroup) touchedBy(d *metadata.Delta) bool {
	for _, t := range d.Topics {
		if t.After != nil && g.usesTopic(t.After.Name) || t.Before != nil && g.usesTopic(t.Before.Name) {
			return true
		}
	}
	return false
}
