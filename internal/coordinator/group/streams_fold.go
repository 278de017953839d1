package group

import (
	"maps"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
)

// What records do to a streams group: everything here is called by replay alone.

// replayedStreams is the group that a record belongs to.
func (s *Shard) replayedStreams(name string) (*streamsGroup, bool) {
	return replayed(s, name, func() *streamsGroup { return newStreamsGroup(s, name) })
}

// memberOrNew returns the member, or a new one that is not in the group yet.
func (g *streamsGroup) memberOrNew(id string) *streamsMember {
	if m, ok := g.members.Get(id); ok {
		return m
	}
	return newStreamsMember(g.id, id)
}

// setMember puts a member into the group in the place of its former self.
func (g *streamsGroup) setMember(m *streamsMember) {
	old, had := g.members.Get(m.id)
	if !had {
		old = newStreamsMember(g.id, m.id)
		g.s.crowd.Set(g.s.crowd.Get() + 1)
	}
	g.account(old, m)
	h := g.head.Get()
	if had && old.settled(h.targetEpoch) {
		h.settled--
	}
	if m.settled(h.targetEpoch) {
		h.settled++
	}
	g.head.Set(h)
	g.members.Set(m.id, m)
}

// dropMember takes a member out of the group.
func (g *streamsGroup) dropMember(id string) {
	old, had := g.members.Get(id)
	if !had {
		return
	}
	gone := newStreamsMember(g.id, id)
	gone.at = goneStreams
	g.account(old, gone)
	if h := g.head.Get(); old.settled(h.targetEpoch) {
		h.settled--
		g.head.Set(h)
	}
	g.members.Delete(id)
	g.progress.Delete(id)
	g.s.crowd.Set(g.s.crowd.Get() - 1)
}

// account brings active, local and instances up to date with a change of a member.
func (g *streamsGroup) account(old, now *streamsMember) {
	if moved := old.said.process != now.said.process; moved || old.at != now.at {
		ran, had := old.holds()
		runs, has := now.holds()
		for t := range ran {
			if owner, _ := g.active.Get(t); owner == now.id && !runs[t] {
				g.active.Delete(t)
			}
		}
		for t := range runs {
			if !ran[t] {
				g.active.Set(t, now.id)
			}
		}
		for t := range had {
			at := localTask{t, old.said.process}
			if owner, _ := g.local.Get(at); owner == now.id && (moved || !has[t]) {
				g.local.Delete(at)
			}
		}
		for t := range has {
			if moved || !had[t] {
				g.local.Set(localTask{t, now.said.process}, now.id)
			}
		}
	}
	if was, is := old.said.instance, now.said.instance; !samePtr(was, is) {
		if was != nil {
			if member, _ := g.instances.Get(*was); member == now.id {
				g.instances.Delete(*was)
			}
		}
		if is != nil {
			g.instances.Set(*is, now.id)
		}
	}
}

// holds is the tasks that the member runs, or may run still, and those that it has in any role.
func (m *streamsMember) holds() (runs, has map[tasks.Task]bool) {
	runs = map[tasks.Task]bool{}
	both := [...]*streamsHeld{&m.at.assigned, &m.at.revoking}
	for _, h := range both {
		for t := range h.Active.All() {
			runs[t] = true
		}
	}
	has = maps.Clone(runs)
	for _, h := range both {
		for _, set := range [...]tasks.Set{h.Standby, h.Warmup} {
			for t := range set.All() {
				has[t] = true
			}
		}
	}
	return runs, has
}

// setTargetEpoch says that targets are for this epoch from now on.
func (g *streamsGroup) setTargetEpoch(epoch int32, at kafka.Timestamp) {
	h := g.head.Get()
	h.targetEpoch, h.targetAt, h.settled = epoch, at, 0
	for _, m := range g.members.All() {
		if m.settled(epoch) {
			h.settled++
		}
	}
	g.head.Set(h)
}

// dropStreamsGroup takes the group out of the shard.
func (s *Shard) dropStreamsGroup(g *streamsGroup) {
	s.crowd.Set(s.crowd.Get() - g.members.Len())
	s.groups.Delete(g.id)
}
