package group

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// consumerGroupFor returns the consumer group that a heartbeat is for. For who joins it makes one, also from a classic group whose members can go on in it.
func (s *Shard) consumerGroupFor(op *coordinator.Op, req *kmsg.ConsumerGroupHeartbeatRequest, joins bool) (*consumerGroup, error) {
	name := req.Group
	old, found := s.groups.Get(name)
	if g, ok := old.(*consumerGroup); ok {
		return g, nil
	}
	if !joins {
		if found {
			return nil, kafka.Errorf(kafka.GroupIDNotFound, "Group %s is not a consumer group.", name)
		}
		return nil, kafka.Errorf(kafka.GroupIDNotFound, "Consumer group %s not found.", name)
	}
	if !found {
		return s.startConsumerGroup(strings.Clone(name)), nil
	}
	classic, ok := old.(*classicGroup)
	if !ok {
		return nil, kafka.Errorf(kafka.GroupIDNotFound, "Group %s is not a consumer group.", name)
	}
	return s.upgrade(op, classic, req)
}

// startConsumerGroup puts an empty consumer group into the shard. Its first record follows in the same operation.
func (s *Shard) startConsumerGroup(name string) *consumerGroup {
	g := newConsumerGroup(s, name)
	s.groups.Set(name, g)
	return g
}

// consumerMemberFor returns the member that a heartbeat comes from, new if it joins. It is not yet in the group then.
func (g *consumerGroup) consumerMemberFor(op *coordinator.Op, req *kmsg.ConsumerGroupHeartbeatRequest, joins bool, owned assign.Partitions, told bool) (*consumerMember, error) {
	if joins {
		if err := g.checkRoom(op, req.MemberID, req.InstanceID); err != nil {
			return nil, err
		}
	}
	if req.InstanceID != nil {
		m, err := g.staticMember(op, req.MemberID, *req.InstanceID, joins, false)
		if err == nil && !joins {
			err = checkMemberEpoch(m, req.MemberEpoch, owned, told)
		}
		return m, err
	}
	m, ok := g.members.Get(req.MemberID)
	switch {
	case ok && joins:
		return m, nil // it joins again, or the answer to its joining was lost
	case ok:
		return m, checkMemberEpoch(m, req.MemberEpoch, owned, told)
	case !joins:
		return nil, kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", req.MemberID, g.id)
	}
	id := strings.Clone(req.MemberID)
	if id == "" {
		id = op.NewID().String()
	}
	op.Note(g.id, "member "+id+" joins")
	return newConsumerMember(g.id, id), nil
}

// checkRoom refuses a new member of a full group (P6).
func (g *consumerGroup) checkRoom(op *coordinator.Op, id string, instance *string) error {
	if instance != nil {
		if _, ok := g.instances.Get(*instance); ok {
			return nil
		}
	}
	most := g.config(op.Image).Consumer.MaxSize
	if _, ok := g.members.Get(id); !ok && g.members.Len() >= most {
		return kafka.Errorf(kafka.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of %d members.", most)
	}
	return nil
}

// staticMember returns the member of an instance id. If it joins under another member id it takes the place, and all that belongs to it, of
// the one who left for a while, or who is of the classic protocol; a place that is taken is UNRELEASED_INSTANCE_ID.
func (g *consumerGroup) staticMember(op *coordinator.Op, id, instance string, joins, classic bool) (*consumerMember, error) {
	holder, taken := g.instances.Get(instance)
	if !joins {
		switch {
		case !taken:
			return nil, kafka.Errorf(kafka.UnknownMemberID, "Instance id %s is unknown.", instance)
		case holder != id:
			return nil, kafka.Errorf(kafka.FencedInstanceID, "Static member %s with instance id %s was fenced by member %s.", id, instance, holder)
		}
		m, _ := g.members.Get(holder)
		return m, nil
	}
	id = strings.Clone(id)
	if id == "" {
		id = op.NewID().String()
	}
	if !taken {
		op.Note(g.id, "static member "+instance+" joins as "+id)
		return newConsumerMember(g.id, id), nil
	}
	old, _ := g.members.Get(holder)
	if !classic && old.said.classic == nil && old.at.epoch != epochStaticLeave {
		return nil, kafka.Errorf(kafka.UnreleasedInstanceID, "Static member %s with instance id %s cannot join the group because the instance id is owned by %s member.", id, instance, holder)
	}
	op.Note(g.id, "static member "+instance+" is back as "+id+" in the place of "+holder)
	return g.replace(op, old, id), nil
}

// replace puts a static member into the place of its former self.
func (g *consumerGroup) replace(op *coordinator.Op, old *consumerMember, id string) *consumerMember {
	target, _ := g.targets.Get(old.id)
	at := *old.at
	at.epoch, at.previous = 0, 0
	g.removeMember(op, old)
	op.Emit(&consumerMemberRecord{group: g.id, member: id, said: old.said})
	op.Emit(&consumerTargetMember{group: g.id, member: id, target: held{Partitions: target}})
	op.Emit(&consumerCurrentRecord{group: g.id, member: id, at: &at})
	m, _ := g.members.Get(id)
	g.heard(op, m, true)
	return m
}

// checkMemberEpoch refuses a heartbeat of another epoch than the member's: whoever sends it must give up everything and join again. The epoch
// before is good still if the member has nothing that it should not have, because the answer with the new one may have been lost.
func checkMemberEpoch(m *consumerMember, epoch int32, owned assign.Partitions, told bool) error {
	switch {
	case m.at.state < memberStable || m.at.state > memberUnreleased:
		return kafka.Errorf(kafka.FencedMemberEpoch, "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.")
	case epoch > m.at.epoch:
		return kafka.Errorf(kafka.FencedMemberEpoch, "The consumer group member has a greater member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", epoch, m.at.epoch)
	case epoch < m.at.epoch && (epoch != m.at.previous || !told || !owned.Within(m.at.assigned.Partitions)):
		return kafka.Errorf(kafka.FencedMemberEpoch, "The consumer group member has a smaller member epoch (%d) than the one known by the group coordinator (%d). The member must abandon all its partitions and rejoin.", epoch, m.at.epoch)
	}
	return nil
}
