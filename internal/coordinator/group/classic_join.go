package group

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// maxName is the longest name that the records of __consumer_offsets can hold. A group, member or instance with a longer one is refused.
const maxName = 1<<15 - 1

// maxIDPrefix is how much of a client id goes into the member ids made for it.
const maxIDPrefix = 1_000

// classicHost is a group of another kind that takes members of the classic protocol, while it is upgraded or downgraded.
type classicHost interface {
	group
	consumerJoin(op *coordinator.Op, c Client, req *kmsg.JoinGroupRequest, later *coordinator.Reply[*kmsg.JoinGroupResponse])
	consumerSync(op *coordinator.Op, c Client, req *kmsg.SyncGroupRequest, later *coordinator.Reply[*kmsg.SyncGroupResponse])
	consumerHeartbeat(op *coordinator.Op, c Client, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse
	consumerLeave(op *coordinator.Op, c Client, req *kmsg.LeaveGroupRequest) *kmsg.LeaveGroupResponse
}

// joiner is one JoinGroup request, as the group needs it.
type joiner struct {
	client    Client
	member    string
	instance  *string
	typ       string
	protocols []protocol
	rebalance time.Duration
	timeout   time.Duration
	version   int16
	reason    string
	later     laterJoin
}

// JoinGroup makes who asks a member of the generation to come. It is answered when all members have joined, or at once with an error:
// INVALID_GROUP_ID, INVALID_SESSION_TIMEOUT, MEMBER_ID_REQUIRED (come back with the id given), UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
// GROUP_MAX_SIZE_REACHED, INCONSISTENT_GROUP_PROTOCOL.
func (s *Shard) JoinGroup(op *coordinator.Op, c Client, req *kmsg.JoinGroupRequest, later *coordinator.Reply[*kmsg.JoinGroupResponse]) {
	cfg := s.env.Config(op.Image, req.Group)
	j := joiner{
		client: Client{strings.Clone(c.ID), strings.Clone(c.Host)}, member: req.MemberID, typ: req.ProtocolType, version: req.Version, later: later,
		timeout: ms(req.SessionTimeoutMillis), rebalance: ms(req.RebalanceTimeoutMillis), reason: reason(req.Reason),
	}
	if req.Version == 0 || req.RebalanceTimeoutMillis < 0 { // v0 had one timeout for both
		j.rebalance = j.timeout
	}
	switch {
	case req.Group == "" || len(req.Group) > maxName:
		j.refuse(op, req.MemberID, kafka.InvalidGroupID)
		return
	case j.timeout < cfg.MinSessionTimeout || j.timeout > cfg.MaxSessionTimeout:
		j.refuse(op, req.MemberID, kafka.InvalidSessionTimeout)
		return
	case len(req.Protocols) > maxProtocols || len(req.ProtocolType) > maxName:
		j.refuse(op, req.MemberID, kafka.InconsistentGroupProtocol)
		return
	case req.InstanceID != nil && len(*req.InstanceID) > maxName-64:
		j.refuse(op, req.MemberID, kafka.InvalidRequest)
		return
	}
	g, found := s.groups.Get(req.Group)
	classic, isClassic := g.(*classicGroup)
	host, isHost := g.(classicHost)
	switch {
	case isHost && !host.isEmpty():
		host.consumerJoin(op, c, req, later)
		return
	case found && !isClassic && !isHost:
		j.refuse(op, "", kafka.InconsistentGroupProtocol)
		return
	case !isClassic && req.MemberID != "":
		j.refuse(op, req.MemberID, kafka.UnknownMemberID)
		return
	case isHost: // an empty group of another protocol makes room
		host.remove(op)
	}
	j.protocols, j.typ = protocolsOf(req), strings.Clone(req.ProtocolType)
	if req.InstanceID != nil {
		instance := strings.Clone(*req.InstanceID)
		j.instance = &instance
	}
	if !isClassic {
		// The record makes the group, so that others see it from the moment it is committed.
		id := strings.Clone(req.Group)
		op.Emit(&groupMetadata{group: id, since: millis(op.Now)})
		if classic, isClassic = named[*classicGroup](s, id); !isClassic {
			j.refuse(op, "", kafka.CoordinatorNotAvailable)
			return
		}
	}
	switch {
	case !classic.hasRoom(j.member, cfg.MaxSize):
		classic.drop(j.member)
		j.refuse(op, "", kafka.GroupMaxSizeReached)
		classic.completeIfAllJoined(op)
	case !classic.accepts(j.typ, j.protocols):
		j.refuse(op, j.member, kafka.InconsistentGroupProtocol)
	case j.member == "":
		classic.joinNew(op, &j)
	default:
		classic.joinAgain(op, &j)
	}
}

// refuse answers with an error.
func (j *joiner) refuse(op *coordinator.Op, member string, code kafka.ErrorCode) {
	j.later.Give(op, refusedJoin(member, code))
}

func refusedJoin(member string, code kafka.ErrorCode) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.MemberID, r.ErrorCode = member, int16(code)
	return r
}

// hasRoom reports whether a joiner is within group.max.size. While members join, those count who have; so a limit that was lowered keeps
// out who comes last.
func (g *classicGroup) hasRoom(member string, limit int) bool {
	m, isMember := g.members.Get(member)
	switch h := g.head.Get(); h.state {
	case stateEmpty:
		return true
	case statePreparing:
		return isMember && m.join != nil || h.joining < limit
	default:
		return isMember || g.members.Len() < limit
	}
}

// joinNew is for who has no member id yet.
func (g *classicGroup) joinNew(op *coordinator.Op, j *joiner) {
	prefix := j.client.ID[:min(len(j.client.ID), maxIDPrefix)]
	if j.instance != nil {
		prefix = *j.instance
	}
	id := prefix + "-" + uuidText(op.NewID())
	if j.instance != nil {
		if old, ok := g.static.Get(*j.instance); ok {
			g.replaceStatic(op, j, old, id)
			return
		}
	} else if j.version >= 4 {
		// The joiner may never get its answer, and would leave a member behind that nobody is. So it must show first that it knows its id.
		g.pend(op, id, j.timeout)
		j.refuse(op, id, kafka.MemberIDRequired)
		return
	}
	g.join(op, j, id)
}

// join adds a member.
func (g *classicGroup) join(op *coordinator.Op, j *joiner, id string) {
	g.change(func(h *classicHead) {
		if g.members.Len() == 0 {
			h.protocolType = j.typ
		}
		h.grew = h.grew || h.state == statePreparing && h.previous == stateEmpty
	})
	m := &classicMember{
		id: id, instance: j.instance, client: j.client, rebalance: j.rebalance, timeout: j.timeout, protocols: j.protocols,
		isNew: true, join: j.later, session: &session{},
	}
	g.put(m)
	g.extend(op, m, newMemberTimeout)
	g.rebalanceOrGoOn(op, "member "+id+" joined ("+j.reason+")")
}

// joinAgain is for who says that it is a member, or comes back with the id that it was given.
func (g *classicGroup) joinAgain(op *coordinator.Op, j *joiner) {
	if _, ok := g.unnamed.Get(j.member); ok && j.instance == nil {
		g.join(op, j, strings.Clone(j.member))
		return
	}
	if err := g.checkMember(j.member, j.instance); err != nil {
		j.refuse(op, j.member, kafka.CodeOf(err))
		return
	}
	m, _ := g.members.Get(j.member)
	h := g.head.Get()
	switch {
	case h.state == statePreparing:
		g.rejoin(op, j, m, "member "+m.id+" joined again ("+j.reason+")")
	case h.state == stateCompleting && m.matches(j.protocols):
		// Its first answer may have been lost.
		j.later.Give(op, g.joined(m))
	case h.state == stateStable && h.leader != m.id && m.matches(j.protocols):
		j.later.Give(op, g.joined(m))
	case h.state == stateStable && h.leader == m.id:
		// The leader joins again when topics have changed, which its metadata does not show.
		g.rejoin(op, j, m, "leader "+m.id+" joined again ("+j.reason+")")
	case h.state == stateCompleting || h.state == stateStable:
		g.rejoin(op, j, m, "member "+m.id+" changed its subscription ("+j.reason+")")
	default:
		j.refuse(op, j.member, kafka.UnknownMemberID)
	}
}

// rejoin takes a member's new request in place of what it said before. If another request of it waits, that one's connection is gone, or
// the member has given it up.
func (g *classicGroup) rejoin(op *coordinator.Op, j *joiner, m *classicMember, why string) {
	g.refresh(op, j, m)
	g.rebalanceOrGoOn(op, why)
}

func (g *classicGroup) refresh(op *coordinator.Op, j *joiner, m *classicMember) *classicMember {
	if m.join != nil {
		m.join.Give(op, refusedJoin(m.id, kafka.RebalanceInProgress))
	}
	if m.sync != nil {
		m.sync.Give(op, refusedSync(kafka.RebalanceInProgress))
	}
	m = g.reprotocol(m, j.protocols)
	return g.update(m, func(m *classicMember) {
		m.rebalance, m.timeout, m.join, m.sync = j.rebalance, j.timeout, j.later, nil
	})
}

// joined is the answer to a member that has joined the generation of now. Only the leader is told of the others.
func (g *classicGroup) joined(m *classicMember) *kmsg.JoinGroupResponse {
	h := g.head.Get()
	r := kmsg.NewPtrJoinGroupResponse()
	r.Generation, r.Protocol, r.LeaderID, r.MemberID = h.generation, h.protocol, h.leader, m.id
	r.ProtocolType = kmsg.StringPtr(h.protocolType)
	if h.leader != m.id {
		return r
	}
	for _, other := range g.sorted() {
		o := kmsg.NewJoinGroupResponseMember()
		o.MemberID, o.InstanceID, o.ProtocolMetadata = other.id, other.instance, other.metadata(h.protocol)
		r.Members = append(r.Members, o)
	}
	return r
}

// maxReason is how much is kept of what a client says why it joins or leaves, as Kafka's own clients cut it.
const maxReason = 255

func reason(r *string) string {
	if r == nil || *r == "" {
		return "not provided"
	}
	return (*r)[:min(len(*r), maxReason)]
}

func ms(n int32) time.Duration { return time.Duration(n) * time.Millisecond }
