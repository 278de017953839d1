package group

import (
	"slices"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// The states of a classic group. A group that has been removed is in no map, and is told to be Dead.
const (
	stateEmpty      = "Empty"
	statePreparing  = "PreparingRebalance"  // members join
	stateCompleting = "CompletingRebalance" // all have joined, the leader assigns
	stateStable     = "Stable"
	stateDead       = "Dead"
)

// consumerProtocolType is the protocol type of consumers, whose metadata the broker can read.
const consumerProtocolType = "consumer"

// classicGroup is a group whose members assign partitions among themselves: JoinGroup gathers them, the leader assigns, SyncGroup hands out.
// Its record has its generation, its members and what they were assigned. The rest is soft: who waits for an answer, which protocols a
// member could have used, how far a rebalance is. That is in containers of the registry too, so that it reverts with the shard.
type classicGroup struct {
	id      string
	s       *Shard
	head    *timeline.Value[classicHead]
	members *timeline.Map[string, *classicMember]
	static  *timeline.Map[string, string]        // member id of each instance id
	shared  *timeline.Map[string, int]           // how many members know each protocol
	unnamed *timeline.Map[string, pendingMember] // ids that were given to joiners who have not come back with them yet
	unsent  *timeline.Map[string, struct{}]      // members of this generation who have not sent SyncGroup
	armed   *timeline.Value[time.Time]           // when the timer of the sessions fires; zero: it is not set
}

var _ group = (*classicGroup)(nil)

// classicHead is what a group has one of.
type classicHead struct {
	state, previous string
	since           kafka.Timestamp // when it came to its state; NoTimestamp: not known
	generation      int32
	protocolType    string // "": none
	protocol        *string
	leader          string              // "": none
	topics          map[string]struct{} // what the members subscribe to; nil: not known
	joining         int                 // members that wait for the answer to JoinGroup
	grew            bool                // a member joined since the delay of the first rebalance began
	next            int64               // order of the next member
}

// newClassicGroup makes an empty group that is not yet in the shard's map.
func (s *Shard) newClassicGroup(id string, since kafka.Timestamp) *classicGroup {
	return &classicGroup{
		id: id, s: s,
		head:    timeline.NewValue(s.reg, classicHead{state: stateEmpty, previous: stateDead, since: since}),
		members: timeline.NewMap[string, *classicMember](s.reg), static: timeline.NewMap[string, string](s.reg),
		shared: timeline.NewMap[string, int](s.reg), unnamed: timeline.NewMap[string, pendingMember](s.reg),
		unsent: timeline.NewMap[string, struct{}](s.reg), armed: timeline.NewValue(s.reg, time.Time{}),
	}
}

// ensureSimple makes a group that only remembers offsets, if the name is free.
func (s *Shard) ensureSimple(id string, since kafka.Timestamp) {
	if _, ok := s.groups.Get(id); !ok {
		s.groups.Set(id, s.newClassicGroup(id, since))
	}
}

// isSimple reports whether a group is nothing but the owner of committed offsets.
func isSimple(g group) bool {
	c, ok := g.(*classicGroup)
	return ok && c.head.Get().protocolType == "" && c.isEmpty() && c.unnamed.Len() == 0
}

// change sets what the group has one of.
func (g *classicGroup) change(f func(*classicHead)) {
	h := g.head.Get()
	f(&h)
	g.head.Set(h)
}

// to brings the group to a state.
func (g *classicGroup) to(op *coordinator.Op, state string) {
	g.change(func(h *classicHead) {
		h.previous, h.state, h.since = h.state, state, millis(op.Now)
	})
}

func (g *classicGroup) in(states ...string) bool { return slices.Contains(states, g.head.Get().state) }

func (g *classicGroup) name() string { return g.id }
func (g *classicGroup) kind() kind   { return kindClassic }

func (g *classicGroup) state(v coordinator.View) string { return g.head.GetAt(v.Committed).state }

func (g *classicGroup) protocol(v coordinator.View) (typ, name string) {
	h := g.head.GetAt(v.Committed)
	if h.protocol != nil {
		name = *h.protocol
	}
	return h.protocolType, name
}

func (g *classicGroup) isEmpty() bool { return g.in(stateEmpty) }

// checkMember refuses who is no member, and an instance whose place another has taken.
func (g *classicGroup) checkMember(id string, instance *string) error {
	if instance != nil {
		switch holder, ok := g.static.Get(*instance); {
		case !ok:
			return kafka.UnknownMemberID
		case holder != id:
			return kafka.FencedInstanceID
		}
	}
	if _, ok := g.members.Get(id); !ok {
		return kafka.UnknownMemberID
	}
	return nil
}

// checkCommit (GRP-3). A commit in a transaction need not name a member, for older clients cannot, and is taken while the leader assigns.
func (g *classicGroup) checkCommit(_ *coordinator.Op, member string, instance *string, generation int32, txn bool) error {
	h := g.head.Get()
	if generation < 0 && h.state == stateEmpty {
		return nil
	}
	switch {
	case generation >= 0 || member != "" || instance != nil:
		if err := g.checkMember(member, instance); err != nil {
			return err
		}
		if generation != h.generation {
			return kafka.IllegalGeneration
		}
	case !txn && h.state != stateEmpty:
		return kafka.UnknownMemberID
	}
	if !txn && h.state == stateCompleting {
		return kafka.RebalanceInProgress
	}
	return nil
}

// checkFetch lets everybody read: the members of a classic group do not name their generation when they fetch offsets.
func (g *classicGroup) checkFetch(coordinator.View, *string, int32) error { return nil }

func (g *classicGroup) checkDelete() error {
	if !g.isEmpty() {
		return kafka.NonEmptyGroup
	}
	return nil
}

// checkOffsetDelete refuses to drop single offsets of members whose subscriptions the broker cannot read.
func (g *classicGroup) checkOffsetDelete() error {
	if !g.isEmpty() && g.head.Get().protocolType != consumerProtocolType {
		return kafka.NonEmptyGroup
	}
	return nil
}

func (g *classicGroup) remove(op *coordinator.Op) {
	g.stop(op)
	op.Emit(&groupMetadata{group: g.id, gone: true})
}

// stop ends the timers of a group that is being removed or becomes one of another kind.
func (g *classicGroup) stop(op *coordinator.Op) {
	op.Cancel(g.joinTimer())
	op.Cancel(g.syncTimer())
	op.Cancel(g.sessionTimer())
}

// current reports whether the group is still in the shard: a timer may fire after it was removed, or replaced.
func (g *classicGroup) current() bool {
	now, ok := named[*classicGroup](g.s, g.id)
	return ok && now == g
}

// usesTopic says yes for every topic when the members are consumers but what they subscribe to cannot be read.
func (g *classicGroup) usesTopic(topic string) bool {
	h := g.head.Get()
	if h.topics == nil {
		return h.protocolType == consumerProtocolType
	}
	_, ok := h.topics[topic]
	return ok
}

// load gives every member a session from now on (GRP-6).
func (g *classicGroup) load(op *coordinator.Op) {
	for _, m := range g.members.All() {
		g.touch(op, m)
	}
}

// imageChanged does nothing: the leader looks at topics itself and asks for a rebalance.
func (g *classicGroup) imageChanged(*coordinator.Op, *metadata.Delta) {}

// offsetsExpireFrom says from when on the retention of an offset counts; ok is false while none may expire. That of a group without
// protocol counts from the commit; of one whose members left, from then; of live consumers only what they do not subscribe to expires.
func (g *classicGroup) offsetsExpireFrom(committed kafka.Timestamp) (from kafka.Timestamp, ok bool) {
	switch h := g.head.Get(); {
	case h.protocolType == "":
		return committed, true
	case h.state == stateEmpty && h.since != kafka.NoTimestamp:
		return h.since, true
	case h.state == stateEmpty:
		return committed, true
	case h.protocolType == consumerProtocolType && h.topics != nil && h.state == stateStable:
		return committed, true
	}
	return 0, false
}

// foldClassic folds a record. A group that lives keeps what the record does not say of it.
func (s *Shard) foldClassic(r *groupMetadata) {
	if r.gone {
		if _, ok := named[*classicGroup](s, r.group); ok {
			s.groups.Delete(r.group)
		}
		return
	}
	g, ok := replayed(s, r.group, func() *classicGroup { return s.newClassicGroup(r.group, r.since) })
	if !ok {
		return
	}
	before := g.head.Get()
	known := make(map[string]bool, len(r.members))
	for i := range r.members {
		saved := &r.members[i]
		known[saved.id] = true
		if m, ok := g.members.Get(saved.id); ok {
			g.update(m, func(m *classicMember) { m.assignment, m.order = saved.assignment, int64(i) })
		} else {
			m := saved.member(r.protocol)
			g.put(m)
			m.order = int64(i) // nobody has seen it yet
		}
	}
	for _, m := range g.sorted() {
		if !known[m.id] {
			g.drop(m.id)
		}
	}
	g.change(func(h *classicHead) {
		h.previous, h.state = before.state, stateStable
		if len(r.members) == 0 {
			h.state = stateEmpty
		}
		h.since, h.generation, h.protocolType, h.protocol, h.next = r.since, r.generation, r.protocolType, r.protocol, int64(len(r.members))
		h.leader = ""
		if r.leader != nil {
			h.leader = *r.leader
		}
	})
	g.readTopics()
}

// save emits the group as it is, with members and their assignments.
func (g *classicGroup) save(op *coordinator.Op, since kafka.Timestamp) {
	h := g.head.Get()
	r := &groupMetadata{group: g.id, protocolType: h.protocolType, generation: h.generation, protocol: h.protocol, since: since}
	if h.leader != "" {
		r.leader = &h.leader
	}
	for _, m := range g.sorted() {
		r.members = append(r.members, m.saved(h.protocol))
	}
	op.Emit(r)
}

// sorted are the members in the order in which they joined.
func (g *classicGroup) sorted() []*classicMember { return g.sortedAt(timeline.Latest) }

func (g *classicGroup) sortedAt(at timeline.Epoch) []*classicMember {
	all := make([]*classicMember, 0, g.members.LenAt(at))
	for _, m := range g.members.AllAt(at) {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *classicMember) int {
		if a.order != b.order {
			return int(a.order - b.order)
		}
		return strings.Compare(a.id, b.id)
	})
	return all
}
