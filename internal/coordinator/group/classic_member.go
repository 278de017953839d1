package group

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// maxProtocols is how many protocols a member may offer; who offers more is told INCONSISTENT_GROUP_PROTOCOL. Clients offer a handful.
const maxProtocols = 1_000

type (
	laterJoin = *coordinator.Reply[*kmsg.JoinGroupResponse]
	laterSync = *coordinator.Reply[*kmsg.SyncGroupResponse]
)

// classicMember is a member of a classic group. It is replaced, not changed; only its session is shared by what it was and what it is.
type classicMember struct {
	id        string
	instance  *string // of a static member
	client    Client
	rebalance time.Duration
	timeout   time.Duration // of its session
	protocols []protocol    // the most wanted first; none twice
	// assignment is what the leader gave it in this generation.
	assignment []byte
	order      int64 // of joining, in its group
	// isNew: it waits for its first answer, which is all it knows the group by, so it cannot send heartbeats yet.
	isNew   bool
	join    laterJoin // who waits for the answer to JoinGroup; nil: nobody
	sync    laterSync // and to SyncGroup
	session *session
}

// protocol is one way of assigning that a member knows, with what it says of itself in it.
type protocol struct {
	name     string
	metadata []byte
}

// protocolsOf copies the protocols of a request, whose bytes are used again. Of two with the same name the first counts.
func protocolsOf(req *kmsg.JoinGroupRequest) []protocol {
	list := make([]protocol, 0, len(req.Protocols))
	for i := range req.Protocols {
		p := &req.Protocols[i]
		if !slices.ContainsFunc(list, func(q protocol) bool { return q.name == p.Name }) {
			list = append(list, protocol{strings.Clone(p.Name), bytes.Clone(p.Metadata)})
		}
	}
	return list
}

// matches reports whether a member offers the same as before.
func (m *classicMember) matches(list []protocol) bool {
	return slices.EqualFunc(m.protocols, list, func(a, b protocol) bool { return a.name == b.name && bytes.Equal(a.metadata, b.metadata) })
}

// metadata is what the member says of itself in a protocol.
func (m *classicMember) metadata(name *string) []byte {
	for i := range m.protocols {
		if name != nil && m.protocols[i].name == *name {
			return m.protocols[i].metadata
		}
	}
	return nil
}

// member makes the member that a record tells of.
func (r *savedMember) member(name *string) *classicMember {
	m := &classicMember{
		id: r.id, instance: r.instance, client: r.client, assignment: r.assignment, session: &session{},
		rebalance: time.Duration(r.rebalanceTimeout) * time.Millisecond, timeout: time.Duration(r.sessionTimeout) * time.Millisecond,
	}
	if name != nil {
		m.protocols = []protocol{{*name, r.subscription}}
	}
	return m
}

// saved is the member as a record tells of it.
func (m *classicMember) saved(name *string) savedMember {
	return savedMember{
		id: m.id, instance: m.instance, client: m.client, subscription: m.metadata(name), assignment: m.assignment,
		rebalanceTimeout: int32(m.rebalance / time.Millisecond), sessionTimeout: int32(m.timeout / time.Millisecond),
	}
}

// put adds a member. The first one of a group decides its protocol type and is its leader.
func (g *classicGroup) put(m *classicMember) {
	g.change(func(h *classicHead) {
		m.order = h.next
		h.next++
		if h.leader == "" {
			h.leader = m.id
		}
		if m.join != nil {
			h.joining++
		}
	})
	if m.instance != nil {
		g.static.Set(*m.instance, m.id)
	}
	g.members.Set(m.id, m)
	g.unnamed.Delete(m.id)
	g.count(m, 1)
}

// update replaces a member by a changed copy of it and returns that.
func (g *classicGroup) update(old *classicMember, f func(*classicMember)) *classicMember {
	m := *old
	f(&m)
	if was, is := old.join != nil, m.join != nil; was != is {
		g.change(func(h *classicHead) {
			if is {
				h.joining++
			} else {
				h.joining--
			}
		})
	}
	if m.id != old.id {
		g.members.Delete(old.id)
	}
	g.members.Set(m.id, &m)
	return &m
}

// drop removes a member, or an id that nobody has come back with. If it was the leader, the member that joined first of those left follows.
func (g *classicGroup) drop(id string) {
	if m, ok := g.members.Get(id); ok {
		g.members.Delete(id)
		g.count(m, -1)
		if m.instance != nil {
			if holder, _ := g.static.Get(*m.instance); holder == id {
				g.static.Delete(*m.instance)
			}
		}
		g.change(func(h *classicHead) {
			if m.join != nil {
				h.joining--
			}
			if h.leader == id {
				h.leader = g.firstMember()
			}
		})
	}
	g.unnamed.Delete(id)
	g.unsent.Delete(id)
}

func (g *classicGroup) firstMember() string {
	var first *classicMember
	for _, m := range g.members.All() {
		if first == nil || m.order < first.order {
			first = m
		}
	}
	if first == nil {
		return ""
	}
	return first.id
}

// count adds a member's protocols to those that members share, or takes them away.
func (g *classicGroup) count(m *classicMember, by int) {
	for i := range m.protocols {
		name := m.protocols[i].name
		if n, _ := g.shared.Get(name); n+by > 0 {
			g.shared.Set(name, n+by)
		} else {
			g.shared.Delete(name)
		}
	}
}

// reprotocol gives a member other protocols.
func (g *classicGroup) reprotocol(m *classicMember, list []protocol) *classicMember {
	g.count(m, -1)
	m = g.update(m, func(m *classicMember) { m.protocols = list })
	g.count(m, 1)
	return m
}

// accepts reports whether the group can take a member of that type with those protocols: all members must share one.
func (g *classicGroup) accepts(typ string, list []protocol) bool {
	h := g.head.Get()
	if h.state == stateEmpty {
		return typ != "" && len(list) > 0
	}
	return typ == h.protocolType && slices.ContainsFunc(list, func(p protocol) bool {
		n, _ := g.shared.Get(p.name)
		return n == g.members.Len()
	})
}

// choose is the protocol that most members want of those that all know; of two with as many votes that which was voted for first.
func (g *classicGroup) choose() *string {
	votes := map[string]int{}
	var order []string
	for _, m := range g.sorted() {
		for i := range m.protocols {
			name := m.protocols[i].name
			if n, _ := g.shared.Get(name); n < g.members.Len() {
				continue
			}
			if votes[name]++; votes[name] == 1 {
				order = append(order, name)
			}
			break
		}
	}
	var best *string
	for i := range order {
		if best == nil || votes[order[i]] > votes[*best] {
			best = &order[i]
		}
	}
	return best
}

// rebalanceTimeout is the longest that a member allows itself to join again.
func (g *classicGroup) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.members.All() {
		longest = max(longest, m.rebalance)
	}
	return longest
}

func millis(t time.Time) kafka.Timestamp { return kafka.Timestamp(t.UnixMilli()) }

// uuidText is an id as member ids have it: hexadecimal, in five parts.
func uuidText(u kafka.UUID) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 36)
	for i, v := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, digits[v>>4], digits[v&15])
	}
	return string(b)
}
