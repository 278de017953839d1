package group

import (
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// consumerJoin is JoinGroup.
func (g *consumerGroup) consumerJoin(op *coordinator.Op, c Client, req *kmsg.JoinGroupRequest, later laterJoin) {
	if g.lastIsReplaced(op, req) {
		holder, _ := g.instances.Get(*req.InstanceID)
		m, _ := g.members.Get(holder)
		s := g.s
		if g.members.Len() > 1 {
			g.downgrade(op, m.id, "the last member of the consumer protocol is replaced by one of the classic protocol")
		} else {
			g.remove(op)
		}
		s.JoinGroup(op, c, req, later)
		return
	}
	resp, err := g.joinClassic(op, c, req)
	if err != nil {
		later.Give(op, refusedJoin(req.MemberID, kafka.CodeOf(err)))
		return
	}
	later.Give(op, resp)
}

func (g *consumerGroup) joinClassic(op *coordinator.Op, c Client, req *kmsg.JoinGroupRequest) (*kmsg.JoinGroupResponse, error) {
	cfg := g.config(op.Image)
	if !cfg.MayUpgrade && !cfg.MayDowngrade {
		return nil, kafka.InconsistentGroupProtocol
	}
	if err := g.checkRoom(op, req.MemberID, req.InstanceID); err != nil {
		return nil, err
	}
	side := &classicSide{sessionTimeout: req.SessionTimeoutMillis, protocols: protocolsOf(req)}
	if req.ProtocolType != consumerProtocolType || len(side.protocols) == 0 || !g.sharesProtocol(req.MemberID, side) {
		return nil, kafka.InconsistentGroupProtocol
	}
	said, ok := readClassicSubscription(side.protocols[0].metadata)
	if !ok {
		return nil, kafka.InconsistentGroupProtocol
	}
	id := strings.Clone(req.MemberID)
	if id == "" {
		prefix := c.ID[:min(len(c.ID), maxIDPrefix)]
		if req.InstanceID != nil {
			prefix = *req.InstanceID
		}
		id = prefix + "-" + uuidText(op.NewID())
		if req.InstanceID == nil && req.Version >= 4 {
			return refusedJoin(id, kafka.MemberIDRequired), nil
		}
	}
	m, known := g.members.Get(id)
	var err error
	if req.InstanceID != nil {
		m, err = g.staticMember(op, id, *req.InstanceID, req.MemberID == "", true)
	} else if !known && len(partitionsOf(op.Image, said.owned)) > 0 {
		// It has been fenced and does not know it: others may have by now what it believes to have (GRP-1). It has to begin with nothing.
		err = kafka.UnknownMemberID
	} else if !known {
		op.Note(g.id, "member "+id+" joins by the classic protocol")
		m = newConsumerMember(g.id, id)
	}
	if err != nil {
		return nil, err
	}
	rebalance := req.RebalanceTimeoutMillis
	if req.Version == 0 || rebalance < 0 {
		rebalance = req.SessionTimeoutMillis
	}
	unsubscribed := ""
	before := m.said
	m, err = g.subscribe(op, m, consumerSubscription{
		instance: req.InstanceID, rack: said.rack, client: c, topics: said.topics, regex: &unsubscribed, rebalanceTimeout: rebalance, classic: side,
	})
	if err != nil {
		return nil, err
	}
	g.retarget(op)
	m, _ = g.members.Get(m.id)
	m = g.reconcile(op, m, partitionsOf(op.Image, said.owned), true, m.said != before)
	g.heard(op, m, true)
	m.pulse.asked = time.Time{}
	op.Cancel(m.timers.join)
	g.fenceAfter(op, m, m.timers.sync, "it joined and did not sync")

	resp := kmsg.NewPtrJoinGroupResponse()
	resp.MemberID, resp.Generation = m.id, m.at.epoch
	typ := consumerProtocolType
	resp.ProtocolType, resp.Protocol = &typ, &side.protocols[0].name
	return resp, nil
}

// sharesProtocol reports whether a joiner has a protocol that all members of the classic protocol have: they may be among themselves again.
func (g *consumerGroup) sharesProtocol(joiner string, side *classicSide) bool {
	return slices.ContainsFunc(side.protocols, func(p protocol) bool { return g.allKnow(p.name, joiner) })
}

// allKnow reports whether all members of the classic protocol, but one, know an assignor.
func (g *consumerGroup) allKnow(name, but string) bool {
	for id, m := range g.members.All() {
		if c := m.said.classic; c != nil && id != but &&
			!slices.ContainsFunc(c.protocols, func(p protocol) bool { return p.name == name }) {
			return false
		}
	}
	return true
}
