package group

import (
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// What records do to a consumer group: everything here is called by replay alone.

// memberOrNew returns the member, or a new one that is not in the group yet.
func (g *consumerGroup) memberOrNew(id string) *consumerMember {
	if m, ok := g.members.Get(id); ok {
		return m
	}
	return newConsumerMember(g.id, id)
}

// setMember puts a member into the group in the place of its former self.
func (g *consumerGroup) setMember(m *consumerMember) {
	old, had := g.members.Get(m.id)
	if !had {
		old = newConsumerMember(g.id, m.id)
		g.s.crowd.Set(g.s.crowd.Get() + 1)
	}
	g.account(old, m)
	h := g.head.Get()
	if had {
		h = h.without(old)
	}
	g.head.Set(h.including(m))
	g.members.Set(m.id, m)
}

// dropMember takes a member out of the group.
func (g *consumerGroup) dropMember(id string) {
	old, had := g.members.Get(id)
	if !had {
		return
	}
	gone := newConsumerMember(g.id, id)
	gone.at = goneCurrent
	g.account(old, gone)
	g.head.Set(g.head.Get().without(old))
	g.members.Delete(id)
	g.s.crowd.Set(g.s.crowd.Get() - 1)
}

// account brings owners, instances and names up to date with a change of a member.
func (g *consumerGroup) account(old, now *consumerMember) {
	if old.at != now.at {
		for _, set := range []assign.Partitions{old.at.assigned.Partitions, old.at.revoking.Partitions} {
			for id, part := range set.Minus(now.at.assigned.Partitions).Minus(now.at.revoking.Partitions).Each {
				at := topicPartition{id, part}
				if owner, _ := g.owners.Get(at); owner == now.id {
					g.owners.Delete(at)
				}
			}
		}
		for _, set := range []assign.Partitions{now.at.assigned.Partitions, now.at.revoking.Partitions} {
			for id, part := range set.Minus(old.at.assigned.Partitions).Minus(old.at.revoking.Partitions).Each {
				g.owners.Set(topicPartition{id, part}, now.id)
			}
		}
	}
	if old.said == now.said {
		return
	}
	if was, is := old.said.instance, now.said.instance; !samePtr(was, is) {
		if was != nil {
			if member, _ := g.instances.Get(*was); member == now.id {
				g.instances.Delete(*was)
			}
		}
	}
	if now.said.instance != nil {
		g.instances.Set(*now.said.instance, now.id)
	}
	for _, topic := range old.said.topics {
		if n, _ := g.names.Get(topic); n > 1 {
			g.names.Set(topic, n-1)
		} else {
			g.names.Delete(topic)
		}
	}
	for _, topic := range now.said.topics {
		n, _ := g.names.Get(topic)
		g.names.Set(topic, n+1)
	}
}

func (h consumerHead) without(m *consumerMember) consumerHead {
	if m.settled(h.targetEpoch) {
		h.settled--
	}
	if m.said.classic != nil {
		h.classic--
	}
	return h
}

func (h consumerHead) including(m *consumerMember) consumerHead {
	if m.settled(h.targetEpoch) {
		h.settled++
	}
	if m.said.classic != nil {
		h.classic++
	}
	return h
}

// setTargetEpoch says that targets are for this epoch from now on.
func (g *consumerGroup) setTargetEpoch(epoch int32, at kafka.Timestamp) {
	h := g.head.Get()
	h.targetEpoch, h.targetAt, h.settled = epoch, at, 0
	for _, m := range g.members.All() {
		if m.settled(epoch) {
			h.settled++
		}
	}
	g.head.Set(h)
}

// dropConsumerGroup takes the group out of the shard.
func (s *Shard) dropConsumerGroup(g *consumerGroup) {
	s.crowd.Set(s.crowd.Get() - g.members.Len())
	s.groups.Delete(g.id)
}
