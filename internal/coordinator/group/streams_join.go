package group

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// streamsBeat is a heartbeat that was found to be right: all that it means, before anything of it is emitted.
type streamsBeat struct {
	req      *kmsg.StreamsGroupHeartbeatRequest
	joins    bool
	group    *streamsGroup
	isNew    bool           // the group
	wasEmpty bool           // the group
	classic  *classicGroup  // an empty one that makes room
	member   *streamsMember // as it is now
	replaces bool           // a static member that is back takes the place of member
	topology *streamsTopology
	initial  bool // the group has no topology yet
	plan     *streamsPlan
	owned    ownedTasks
}

func (s *Shard) streamsBeatOf(op *coordinator.Op, req *kmsg.StreamsGroupHeartbeatRequest) (*streamsBeat, error) {
	b := &streamsBeat{req: req, joins: req.MemberEpoch == epochJoin, owned: ownedTasksOf(req)}
	if b.joins {
		// group.coordinator.rebalance.protocols may leave streams groups out; nil: it was not read.
		if p := s.env.Config(op.Image, req.Group).Protocols; p != nil && !slices.Contains(p, string(kindStreams)) {
			return nil, kafka.Errorf(kafka.UnsupportedVersion, "The streams group protocol is not enabled on this broker; see group.coordinator.rebalance.protocols.")
		}
	}
	if err := b.findGroup(s, req.Group); err != nil {
		return nil, err
	}
	b.wasEmpty = b.group.isEmpty()
	if err := b.findMember(op); err != nil {
		return nil, err
	}
	if err := b.findTopology(op); err != nil {
		return nil, err
	}
	return b, b.checkOwned()
}

// findGroup finds the streams group that the heartbeat is for, or makes one for who joins; it is not in the shard yet.
func (b *streamsBeat) findGroup(s *Shard, name string) error {
	old, found := s.groups.Get(name)
	if g, ok := old.(*streamsGroup); ok {
		b.group = g
		return nil
	}
	if !found && !b.joins {
		return kafka.Errorf(kafka.GroupIDNotFound, "Streams group %s not found.", name)
	}
	if found {
		classic, ok := old.(*classicGroup)
		if !ok || !b.joins || !classic.isEmpty() {
			return kafka.Errorf(kafka.GroupIDNotFound, "Group %s is not a streams group.", name)
		}
		b.classic = classic
	}
	b.group, b.isNew = newStreamsGroup(s, strings.Clone(name)), true
	return nil
}

// findMember finds the member that the heartbeat comes from, new if it joins.
func (b *streamsBeat) findMember(op *coordinator.Op) error {
	g, id := b.group, b.req.MemberID
	if b.joins {
		if err := g.checkRoom(op, id, b.req.InstanceID); err != nil {
			return err
		}
	}
	if b.req.InstanceID != nil {
		holder, taken := g.instances.Get(*b.req.InstanceID)
		switch {
		case !b.joins:
			m, err := g.staticMember(id, *b.req.InstanceID)
			if err == nil {
				b.member, err = m, m.checkEpoch(b.req.MemberEpoch, b.owned)
			}
			return err
		case taken:
			b.member, _ = g.members.Get(holder)
			b.replaces = true
			if b.member.at.epoch != epochStaticLeave {
				return kafka.Errorf(kafka.UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.", id, *b.req.InstanceID, holder)
			}
			return nil
		}
	}
	m, ok := g.members.Get(id)
	b.member = m
	switch {
	case ok && b.joins: // it joins again, or the answer to its joining was lost
	case ok:
		return m.checkEpoch(b.req.MemberEpoch, b.owned)
	case !b.joins:
		return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", id, g.id)
	default:
		b.member = newStreamsMember(g.id, strings.Clone(id))
	}
	return nil
}

// staticMember is the member of an instance id, if it is the one of that member id.
func (g *streamsGroup) staticMember(id, instance string) (*streamsMember, error) {
	holder, taken := g.instances.Get(instance)
	switch {
	case !taken:
		return nil, kafka.Errorf(kafka.UnknownMemberID, "Instance id %s is unknown.", instance)
	case holder != id:
		return nil, kafka.Errorf(kafka.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", id, instance, holder)
	}
	m, _ := g.members.Get(holder)
	return m, nil
}

// checkRoom refuses a new member of a full group (P6).
func (g *streamsGroup) checkRoom(op *coordinator.Op, id string, instance *string) error {
	if instance != nil {
		if _, ok := g.instances.Get(*instance); ok {
			return nil
		}
	}
	most := g.config(op.Image).MaxSize
	if _, ok := g.members.Get(id); !ok && g.members.Len() >= most {
		return kafka.Errorf(kafka.GroupMaxSizeReached, "The streams group has reached its maximum capacity of %d members.", most)
	}
	return nil
}

// checkEpoch refuses a heartbeat of another epoch than the member's: whoever sends it must give up everything and join again. The epoch before is
// good still if the member has nothing that it should not have, because the answer with the new one may have been lost.
func (m *streamsMember) checkEpoch(epoch int32, owned ownedTasks) error {
	has := &m.at.assigned
	switch {
	case m.at.state < memberStable || m.at.state > memberUnreleased:
		return kafka.Errorf(kafka.FencedMemberEpoch, "The streams group member is in a unknown state. The member must abandon all its tasks and rejoin.")
	case epoch > m.at.epoch:
		return kafka.Errorf(kafka.FencedMemberEpoch, "The streams group member has a greater member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", epoch, m.at.epoch)
	case epoch < m.at.epoch && (epoch != m.at.previous || !owned.told ||
		!owned.Active.Within(has.Active) || !owned.Standby.Within(has.Standby) || !owned.Warmup.Within(has.Warmup)):
		return kafka.Errorf(kafka.FencedMemberEpoch, "The streams group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", epoch, m.at.epoch)
	}
	return nil
}

// findTopology takes in the topology of who joins, and plans it. A group keeps the topology of its first member: only who has it may join, or who
// has an older one, which is told so.
func (b *streamsBeat) findTopology(op *coordinator.Op) (err error) {
	b.topology = b.group.topology.Get()
	if b.joins {
		t, err := topologyOf(b.req.Topology)
		switch {
		case err != nil:
			return err
		case b.topology == nil:
			b.topology, b.initial = t, true
			b.plan, err = planStreams(t, op.Image)
			return err
		case b.topology.epoch <= t.epoch && !b.topology.equal(t):
			return kafka.Errorf(kafka.InvalidRequest, "Topology updates are not supported yet.")
		}
	}
	b.plan, err = b.group.plan(op.Image)
	return err
}

// checkOwned refuses tasks that cannot be.
func (b *streamsBeat) checkOwned() error {
	if !b.plan.ready() {
		return nil
	}
	for _, list := range [...][]kmsg.TaskIDs{b.req.ActiveTasks, b.req.StandbyTasks, b.req.WarmupTasks} {
		for _, t := range list {
			s := b.plan.subtopology(t.SubtopologyID)
			if s == nil {
				return kafka.Errorf(kafka.InvalidRequest, "Subtopology %s does not exist in the topology.", t.SubtopologyID)
			}
			for _, p := range t.Partitions {
				if p < 0 || p >= s.tasks {
					return kafka.Errorf(kafka.InvalidRequest, "Task %d for subtopology %s is invalid. Number of tasks for this subtopology: %d", p, t.SubtopologyID, s.tasks)
				}
			}
		}
	}
	return nil
}

// enter puts the group into the shard, and a static member that is back into its place.
func (b *streamsBeat) enter(op *coordinator.Op) {
	g := b.group
	if b.classic != nil {
		op.Note(g.id, "becomes a streams group: it was empty, and a streams member joins")
		b.classic.remove(op)
	}
	if b.isNew {
		g.s.groups.Set(g.id, g) // its first record follows in the same operation
	}
	if b.replaces {
		b.member = g.replace(op, b.member, strings.Clone(b.req.MemberID))
	}
}

// replace puts a static member into the place of its former self.
func (g *streamsGroup) replace(op *coordinator.Op, old *streamsMember, id string) *streamsMember {
	op.Note(g.id, "static member "+deref(old.said.instance)+" is back as "+id+" in the place of "+old.id)
	target, _ := g.targets.Get(old.id)
	at := *old.at
	at.epoch, at.previous = 0, 0
	if r := g.soft.Get().refined; r != nil {
		g.change(func(s *streamsSoft) { s.refined = r.renamed(old.id, id) })
	}
	g.removeMember(op, old)
	op.Emit(&streamsMemberRecord{group: g.id, member: id, said: old.said})
	op.Emit(&streamsTargetMember{group: g.id, member: id, target: target})
	op.Emit(&streamsCurrentRecord{group: g.id, member: id, at: &at})
	m, _ := g.members.Get(id)
	return m
}
