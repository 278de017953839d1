package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// upgrade turns a classic group into a consumer group, because a member of KIP-848 joins it. An empty one makes room. The members of one that
// lives go on: with what they have, at its generation, for which they were assigned it.
func (s *Shard) upgrade(op *coordinator.Op, old *classicGroup, req *kmsg.ConsumerGroupHeartbeatRequest) (*consumerGroup, error) {
	if old.isEmpty() {
		old.remove(op)
		return s.startConsumerGroup(old.id), nil
	}
	cfg := s.env.Config(op.Image, old.id)
	h := old.head.Get()
	refuse := func(why string) (*consumerGroup, error) {
		return nil, kafka.Errorf(kafka.GroupIDNotFound, "Cannot upgrade classic group %s to consumer group because %s.", old.id, why)
	}
	switch {
	case !cfg.MayUpgrade:
		return refuse("online upgrade is disabled")
	case h.protocolType != consumerProtocolType:
		return refuse("the group does not use the consumer embedded protocol")
	case old.members.Len() > cfg.Consumer.MaxSize:
		return refuse("the group size exceeds the consumer group maximum size")
	}
	if _, back := old.static.Get(deref(req.InstanceID)); !back && old.members.Len() == cfg.Consumer.MaxSize {
		return nil, kafka.Errorf(kafka.GroupMaxSizeReached, "The consumer group has reached its maximum capacity of %d members.", cfg.Consumer.MaxSize)
	}
	members, why := upgradedMembers(op, old)
	if why != "" {
		return refuse(why)
	}
	op.Note(old.id, "becomes a consumer group: a member of the consumer protocol joins")
	for _, m := range old.sorted() {
		if m.join != nil {
			m.join.Give(op, refusedJoin(m.id, kafka.RebalanceInProgress))
		}
		if m.sync != nil {
			m.sync.Give(op, refusedSync(kafka.RebalanceInProgress))
		}
	}
	old.remove(op)
	g := s.startConsumerGroup(old.id)
	for _, m := range members {
		op.Emit(&consumerMemberRecord{group: g.id, member: m.id, said: m.said})
	}
	op.Emit(&consumerMetadata{group: g.id, epoch: h.generation, hash: g.topicsHash(op.Image)})
	for _, m := range members {
		op.Emit(&consumerTargetMember{group: g.id, member: m.id, target: held{Partitions: m.at.assigned.Partitions}})
	}
	op.Emit(&consumerTarget{group: g.id, epoch: h.generation})
	for _, m := range members {
		op.Emit(&consumerCurrentRecord{group: g.id, member: m.id, at: m.at})
		m, _ = g.members.Get(m.id)
		g.heard(op, m, true)
	}
	// The rebalance that was under way, if one was, ends with the group; whoever has nothing yet is to get something.
	g.bump(op)
	return g, nil
}

// upgradedMembers are the members of a classic group as those of a consumer group, by id; why is the reason why that cannot be.
func upgradedMembers(op *coordinator.Op, old *classicGroup) (list []*consumerMember, why string) {
	h := old.head.Get()
	taken := assign.Partitions(nil)
	for _, m := range old.sorted() {
		metadata := m.metadata(h.protocol)
		if metadata == nil && len(m.protocols) > 0 {
			metadata = m.protocols[0].metadata // the first generation has no protocol yet
		}
		said, ok := readClassicSubscription(metadata)
		topics, custom, isAssignment := readClassicAssignment(m.assignment)
		switch {
		case !ok || !isAssignment:
			return nil, "the embedded consumer protocol is malformed"
		case custom:
			return nil, "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor before re-attempting the upgrade"
		}
		// A leader may have given a partition to two members; in a consumer group only one can have it (GRP-1).
		has := partitionsOf(op.Image, topics).Minus(taken)
		taken = taken.Or(has)
		side := &classicSide{sessionTimeout: int32(m.timeout.Milliseconds()), protocols: m.protocols}
		n := newConsumerMember(old.id, m.id)
		n.said = &consumerSubscription{
			instance: m.instance, rack: said.rack, client: m.client, topics: said.topics, rebalanceTimeout: int32(m.rebalance.Milliseconds()), classic: side,
		}
		n.at = &consumerCurrent{epoch: h.generation, previous: h.generation, assigned: hold(has, h.generation, h.generation)}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *consumerMember) int { return cmp.Compare(a.id, b.id) })
	return list, ""
}

// mayDowngrade reports whether the group becomes a classic one when a member goes: only members of the classic protocol are left.
func (g *consumerGroup) mayDowngrade(op *coordinator.Op, gone *consumerMember) bool {
	cfg := g.config(op.Image)
	others := g.members.Len() - 1
	return others > 0 && gone.said.classic == nil && g.head.Get().classic == others && cfg.MayDowngrade && others <= cfg.MaxSize && g.commonProtocol() != nil
}

// lastIsReplaced reports whether a joiner of the classic protocol takes the place of the last, static, member of the consumer protocol.
func (g *consumerGroup) lastIsReplaced(op *coordinator.Op, req *kmsg.JoinGroupRequest) bool {
	if req.InstanceID == nil || req.MemberID != "" {
		return false
	}
	holder, _ := g.instances.Get(*req.InstanceID)
	m, ok := g.members.Get(holder)
	if !ok || m.said.classic != nil {
		return false
	}
	return g.mayDowngrade(op, m) || g.members.Len() == 1 && g.config(op.Image).MayDowngrade
}

// commonProtocol is an assignor that all members of the classic protocol know: the first that the first of them prefers. nil: there is none.
func (g *consumerGroup) commonProtocol() *string {
	for _, m := range g.sorted() {
		if m.said.classic == nil {
			continue
		}
		for i := range m.said.classic.protocols {
			if name := &m.said.classic.protocols[i].name; g.allKnow(*name, "") {
				return name
			}
		}
		return nil
	}
	return nil
}

// downgrade turns the group, without a member, into a classic one, and asks the others to join again: from then on they assign among
// themselves.
func (g *consumerGroup) downgrade(op *coordinator.Op, gone, why string) {
	op.Note(g.id, "becomes a classic group: "+why)
	r := &groupMetadata{group: g.id, protocolType: consumerProtocolType, generation: g.head.Get().epoch, protocol: g.commonProtocol(), since: millis(op.Now)}
	members := map[string]*consumerMember{}
	for _, m := range g.sorted() {
		if m.id == gone {
			continue
		}
		saved := savedMember{
			id: m.id, instance: m.said.instance, client: m.said.client,
			rebalanceTimeout: m.said.rebalanceTimeout, sessionTimeout: m.said.classic.sessionTimeout,
		}
		for _, p := range m.said.classic.protocols {
			if p.name == *r.protocol {
				saved.subscription = p.metadata
			}
		}
		said, _ := readClassicSubscription(saved.subscription)
		saved.assignment = appendClassicAssignment(nil, said.version, op.Image, m.at.assigned.Partitions)
		r.members, members[m.id] = append(r.members, saved), m
	}
	r.leader = &r.members[0].id
	g.remove(op)
	op.Emit(r)
	c, ok := named[*classicGroup](g.s, g.id)
	if !ok {
		return
	}
	for _, m := range c.sorted() {
		c.touch(op, c.reprotocol(m, members[m.id].said.classic.protocols))
	}
	c.prepareRebalance(op, why)
}
