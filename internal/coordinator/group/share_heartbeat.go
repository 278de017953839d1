package group

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// ShareGroupHeartbeat is how a member of a share group joins, keeps its membership, hears what it may read, and leaves.
func (s *Shard) ShareGroupHeartbeat(op *coordinator.Op, c Client, req *kmsg.ShareGroupHeartbeatRequest) *kmsg.ShareGroupHeartbeatResponse {
	resp := kmsg.NewPtrShareGroupHeartbeatResponse()
	resp.Version = req.Version
	if err := s.shareGroupHeartbeat(op, c, req, resp); err != nil {
		*resp = kmsg.NewShareGroupHeartbeatResponse()
		resp.Version = req.Version
		resp.ErrorCode, resp.ErrorMessage = int16(kafka.CodeOf(err)), messageOf(err)
	}
	return resp
}

func (s *Shard) shareGroupHeartbeat(op *coordinator.Op, c Client, req *kmsg.ShareGroupHeartbeatRequest, resp *kmsg.ShareGroupHeartbeatResponse) error {
	if err := checkShareHeartbeat(req); err != nil {
		return err
	}
	joins := req.MemberEpoch == epochJoin
	g, err := s.shareGroupFor(req.GroupID, joins)
	if err != nil {
		return err
	}
	m, known := g.members.Get(req.MemberID)
	switch {
	case !known && !joins:
		return kafka.Errorf(kafka.UnknownMemberID, "Member %s is not a member of group %s.", req.MemberID, g.id)
	case req.MemberEpoch == epochLeave:
		resp.MemberID, resp.MemberEpoch = &m.id, epochLeave
		g.fence(op, m, "it leaves")
		return nil
	case !joins && req.MemberEpoch != m.at.epoch && req.MemberEpoch != m.at.previous:
		return kafka.Errorf(kafka.FencedMemberEpoch, "The share group member has member epoch %d, but the group coordinator knows %d and, before, %d. The member must abandon all its partitions and rejoin.", req.MemberEpoch, m.at.epoch, m.at.previous)
	case !known:
		if most := g.config(op.Image).Share.MaxSize; g.members.Len() >= most {
			return kafka.Errorf(kafka.GroupMaxSizeReached, "The share group has reached its maximum capacity of %d members.", most)
		}
		op.Note(g.id, "member "+req.MemberID+" joins")
		m = newShareMember(g.id, strings.Clone(req.MemberID))
	}
	before, said := m.at, m.said
	m = g.subscribe(op, m, known, c, req)
	g.retarget(op)
	m, _ = g.members.Get(m.id)
	m = g.reconcile(op, m, m.said != said)
	g.heard(op, m, joins)

	resp.MemberID, resp.MemberEpoch = &m.id, m.at.epoch
	resp.HeartbeatIntervalMillis = int32(g.pace(op).Milliseconds())
	if joins || req.SubscribedTopicNames != nil || !m.at.assigned.Equal(before.assigned) {
		resp.Assignment = &kmsg.ShareGroupHeartbeatResponseAssignment{
			TopicPartitions: make([]kmsg.ShareGroupHeartbeatResponseAssignmentTopicPartition, len(m.at.assigned)),
		}
		for i, t := range m.at.assigned {
			a := &resp.Assignment.TopicPartitions[i]
			a.TopicID, a.Partitions = t.ID, t.Partitions
		}
	}
	return nil
}

// checkShareHeartbeat refuses what no client may send, with Kafka's messages.
func checkShareHeartbeat(req *kmsg.ShareGroupHeartbeatRequest) error {
	invalid := func(text string) error { return kafka.Errorf(kafka.InvalidRequest, "%s", text) }
	switch {
	case strings.TrimSpace(req.MemberID) == "":
		return invalid("MemberId can't be empty.")
	case strings.TrimSpace(req.GroupID) == "":
		return invalid("GroupId can't be empty.")
	case req.RackID != nil && strings.TrimSpace(*req.RackID) == "":
		return invalid("RackId can't be empty.")
	case req.MemberEpoch == epochJoin && len(req.SubscribedTopicNames) == 0:
		return invalid("SubscribedTopicNames must be set in first request.")
	case req.MemberEpoch < epochLeave:
		return invalid("MemberEpoch is invalid.")
	case len(req.GroupID) > maxName || len(req.MemberID) > maxName:
		return invalid(fmt.Sprintf("The group or the member id is longer than %d bytes; choose a shorter one.", maxName))
	}
	return nil
}

// shareGroupFor returns the share group of that name, and makes it for who joins.
func (s *Shard) shareGroupFor(name string, joins bool) (*shareGroup, error) {
	old, found := s.groups.Get(name)
	if g, ok := old.(*shareGroup); ok {
		return g, nil
	}
	switch {
	case found:
		return nil, kafka.Errorf(kafka.GroupIDNotFound, "Group %s is not a share group.", name)
	case !joins:
		return nil, kafka.Errorf(kafka.GroupIDNotFound, "Share group %s not found.", name)
	}
	name = strings.Clone(name)
	g := newShareGroup(s, name)
	s.groups.Set(name, g) // its first record follows in the same operation
	return g, nil
}

// subscribe takes in what a member says of itself, a new member too, and raises the group's epoch if that changes who is to have what.
func (g *shareGroup) subscribe(op *coordinator.Op, m *shareMember, known bool, c Client, req *kmsg.ShareGroupHeartbeatRequest) *shareMember {
	said := shareSubscription{rack: req.RackID, client: c, topics: m.said.topics}
	if said.rack == nil {
		said.rack = m.said.rack
	}
	if req.SubscribedTopicNames != nil {
		said.topics = slices.Clone(req.SubscribedTopicNames)
		slices.Sort(said.topics)
		said.topics = slices.Compact(said.topics)
	}
	others := slices.Equal(said.topics, m.said.topics)
	if known && others && samePtr(said.rack, m.said.rack) && said.client == m.said.client {
		return m
	}
	kept := &shareSubscription{rack: cloned(said.rack), client: Client{strings.Clone(c.ID), strings.Clone(c.Host)}, topics: slices.Clone(said.topics)}
	for i := range kept.topics {
		kept.topics[i] = strings.Clone(kept.topics[i])
	}
	op.Emit(&shareMemberRecord{group: g.id, member: m.id, said: kept})
	if !known || !others {
		g.bump(op)
		g.initialize(op)
	}
	m, _ = g.members.Get(m.id)
	return m
}

// pace is when a member should ask again.
func (g *shareGroup) pace(op *coordinator.Op) time.Duration {
	h := g.head.Get()
	pending := h.epoch > h.targetEpoch || h.settled < g.members.Len() || len(g.s.shareTopicsOf(g.id).initializing) > 0
	recent := op.Now.Sub(g.stirred.Get()) < paceWindow
	return paceOf(pending && recent, g.s.crowd.Get(), g.config(op.Image).Share.HeartbeatInterval)
}
