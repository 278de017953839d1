package group

import "github.com/rafka-io/rafka/internal/kafka"

// What records do to a share group: everything here is called by replay alone.

func (g *shareGroup) memberOrNew(id string) *shareMember {
	if m, ok := g.members.Get(id); ok {
		return m
	}
	return newShareMember(g.id, id)
}

func (g *shareGroup) setMember(m *shareMember) {
	old, had := g.members.Get(m.id)
	h := g.head.Get()
	if had {
		if old.at.epoch == h.targetEpoch {
			h.settled--
		}
		g.count(old.said.topics, -1)
	} else {
		g.s.crowd.Set(g.s.crowd.Get() + 1)
	}
	if m.at.epoch == h.targetEpoch {
		h.settled++
	}
	g.count(m.said.topics, 1)
	g.head.Set(h)
	g.members.Set(m.id, m)
}

func (g *shareGroup) dropMember(id string) {
	old, had := g.members.Get(id)
	if !had {
		return
	}
	if h := g.head.Get(); old.at.epoch == h.targetEpoch {
		h.settled--
		g.head.Set(h)
	}
	g.count(old.said.topics, -1)
	g.members.Delete(id)
	g.s.crowd.Set(g.s.crowd.Get() - 1)
}

func (g *shareGroup) count(topics []string, by int) {
	for _, topic := range topics {
		if n, _ := g.names.Get(topic); n+by > 0 {
			g.names.Set(topic, n+by)
		} else {
			g.names.Delete(topic)
		}
	}
}

func (g *shareGroup) setTargetEpoch(epoch int32, at kafka.Timestamp) {
	h := g.head.Get()
	h.targetEpoch, h.targetAt, h.settled = epoch, at, 0
	for _, m := range g.members.All() {
		if m.at.epoch == epoch {
			h.settled++
		}
	}
	g.head.Set(h)
}
