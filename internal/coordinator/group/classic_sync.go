package group

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// SyncGroup asks for a member's assignment; the leader brings those of all. It is answered when the assignment is committed (GRP-1), or at
// once with an error: INVALID_GROUP_ID, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL,
// REBALANCE_IN_PROGRESS.
func (s *Shard) SyncGroup(op *coordinator.Op, c Client, req *kmsg.SyncGroupRequest, later *coordinator.Reply[*kmsg.SyncGroupResponse]) {
	if req.Group == "" {
		later.Give(op, refusedSync(kafka.InvalidGroupID))
		return
	}
	g, _ := s.groups.Get(req.Group)
	switch g := g.(type) {
	case *classicGroup:
		g.sync(op, req, later)
	case classicHost:
		if g.isEmpty() {
			later.Give(op, refusedSync(kafka.UnknownMemberID))
			return
		}
		g.consumerSync(op, c, req, later)
	default:
		later.Give(op, refusedSync(kafka.UnknownMemberID))
	}
}

func refusedSync(code kafka.ErrorCode) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode = int16(code)
	return r
}

func (g *classicGroup) sync(op *coordinator.Op, req *kmsg.SyncGroupRequest, later laterSync) {
	h := g.head.Get()
	err := g.checkMember(req.MemberID, req.InstanceID)
	switch {
	case err != nil:
	case req.Generation != h.generation:
		err = kafka.IllegalGeneration
	case req.ProtocolType != nil && *req.ProtocolType != h.protocolType, req.Protocol != nil && h.protocol != nil && *req.Protocol != *h.protocol:
		err = kafka.InconsistentGroupProtocol
	case h.state == statePreparing:
		err = kafka.RebalanceInProgress
	case h.state == stateEmpty:
		err = kafka.UnknownMemberID
	}
	if err != nil {
		later.Give(op, refusedSync(kafka.CodeOf(err)))
		return
	}
	m, _ := g.members.Get(req.MemberID)
	g.unsent.Delete(m.id)
	if g.unsent.Len() == 0 {
		op.Cancel(g.syncTimer())
	}
	if h.state == stateStable {
		later.Give(op, g.synced(m))
		return
	}
	if m.sync != nil {
		m.sync.Give(op, refusedSync(kafka.RebalanceInProgress))
	}
	g.update(m, func(m *classicMember) { m.sync = later })
	if h.leader == m.id {
		g.assign(op, req.GroupAssignment)
	}
}

// assign commits what the leader assigned and hands it out: the answers leave when the record is committed, so nobody begins with what a
// crash could undo. Who is not assigned anything gets an empty assignment, and assignments of who is no member go nowhere.
func (g *classicGroup) assign(op *coordinator.Op, list []kmsg.SyncGroupRequestGroupAssignment) {
	given := make(map[string][]byte, len(list))
	for i := range list {
		given[list[i].MemberID] = bytes.Clone(list[i].MemberAssignment)
	}
	for _, m := range g.sorted() {
		g.update(m, func(m *classicMember) { m.assignment = given[m.id] })
	}
	g.save(op, millis(op.Now))
	g.handOut(op, kafka.None)
}

// handOut answers everybody who waits for an assignment; with an error there is none any more.
func (g *classicGroup) handOut(op *coordinator.Op, code kafka.ErrorCode) {
	for _, m := range g.sorted() {
		waits := m.sync
		if waits == nil && code == kafka.None {
			continue
		}
		m = g.update(m, func(m *classicMember) {
			m.sync = nil
			if code != kafka.None {
				m.assignment = nil
			}
		})
		if waits == nil {
			continue
		}
		if code != kafka.None {
			waits.Give(op, refusedSync(code))
		} else {
			waits.Give(op, g.synced(m))
		}
		g.touch(op, m)
	}
}

// synced is the answer to a member that has an assignment.
func (g *classicGroup) synced(m *classicMember) *kmsg.SyncGroupResponse {
	h := g.head.Get()
	r := kmsg.NewPtrSyncGroupResponse()
	r.ProtocolType, r.Protocol, r.MemberAssignment = kmsg.StringPtr(h.protocolType), h.protocol, m.assignment
	return r
}
