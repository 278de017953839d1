package group

import (
	"slices"
	"time"
)

// consumerMember is a member of a consumer group. It is never changed once it is in a group: with gives a copy to change.
type consumerMember struct {
	id     string
	said   *consumerSubscription
	at     *consumerCurrent
	pulse  *pulse
	timers *consumerTimers
}

// consumerSubscription is what a member said of itself (record type 5). It is never changed.
type consumerSubscription struct {
	instance, rack   *string
	client           Client
	topics           []string // sorted, without repeats
	regex            *string
	rebalanceTimeout int32 // milliseconds
	assignor         *string
	classic          *classicSide // of a member that speaks the classic protocol; nil: it speaks KIP-848's
}

// classicSide is what a member that speaks the classic protocol said.
type classicSide struct {
	sessionTimeout int32 // milliseconds
	protocols      []protocol
}

// memberState is where a member is on its way to its target, with Kafka's numbers.
type memberState int8

const (
	memberStable     memberState = 0 // it has what it is to have at its epoch
	memberUnrevoked  memberState = 1 // it has yet to confirm that it gave up some partitions
	memberUnreleased memberState = 2 // it waits for partitions that others have yet to give up
)

// consumerCurrent is where a member is on its way to its target (record type 8). It is never changed.
type consumerCurrent struct {
	epoch, previous int32
	state           memberState
	assigned        held // what it may consume
	revoking        held // what it has to give up, and may have still
}

// Epochs of a member with a meaning of their own.
const (
	epochJoin        int32 = 0
	epochLeave       int32 = -1
	epochStaticLeave int32 = -2 // it will be back with the same instance id, and keeps its partitions until then or until its session ends
)

// goneCurrent is that of a member that has left: it has nothing.
var goneCurrent = &consumerCurrent{epoch: epochLeave, previous: epochLeave}

// pulse is when a member was heard of last. It is shared by all versions of the member, and it alone does not go back when an operation
// fails: that somebody was heard of stays true. So that a heartbeat that changes nothing costs nothing, the timer of a session is not set
// anew by each heartbeat; it looks at the pulse when it fires.
type pulse struct {
	asked time.Time // when a member of the classic protocol was told to join again; zero: it was not
	seen  time.Time
}

// consumerTimers are the keys of a member's timers.
type consumerTimers struct{ session, rebalance, join, sync string }

func newConsumerMember(group, id string) *consumerMember {
	return &consumerMember{
		id: id, said: &consumerSubscription{}, at: &consumerCurrent{}, pulse: &pulse{},
		timers: &consumerTimers{
			session: timerKey("consumer session", group, id), rebalance: timerKey("consumer rebalance", group, id),
			join: timerKey("consumer join", group, id), sync: timerKey("consumer sync", group, id),
		},
	}
}

func (m *consumerMember) with() *consumerMember { c := *m; return &c }

// settled reports whether the member has reached the target assignment of an epoch.
func (m *consumerMember) settled(targetEpoch int32) bool {
	return m.at.state == memberStable && m.at.epoch == targetEpoch
}

// sessionTimeout is what the member itself asked for, as those of the classic protocol do, or the group's.
func (m *consumerMember) sessionTimeout(ofGroup time.Duration) time.Duration {
	if c := m.said.classic; c != nil {
		return time.Duration(c.sessionTimeout) * time.Millisecond
	}
	return ofGroup
}

func (m *consumerMember) rebalanceTimeout() time.Duration {
	return time.Duration(m.said.rebalanceTimeout) * time.Millisecond
}

// equal reports whether both say the same.
func (a *consumerSubscription) equal(b *consumerSubscription) bool {
	if a == b {
		return true
	}
	return samePtr(a.instance, b.instance) && samePtr(a.rack, b.rack) && a.client == b.client && slices.Equal(a.topics, b.topics) &&
		samePtr(a.regex, b.regex) && a.rebalanceTimeout == b.rebalanceTimeout && samePtr(a.assignor, b.assignor) && a.classic.equal(b.classic)
}

func (a *classicSide) equal(b *classicSide) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.sessionTimeout == b.sessionTimeout && slices.EqualFunc(a.protocols, b.protocols, func(p, q protocol) bool {
		return p.name == q.name && string(p.metadata) == string(q.metadata)
	})
}

// equal reports whether both are the same place on the way.
func (a *consumerCurrent) equal(b *consumerCurrent) bool {
	return a == b || a.epoch == b.epoch && a.previous == b.previous && a.state == b.state &&
		a.assigned.Equal(b.assigned.Partitions) && a.revoking.Equal(b.revoking.Partitions)
}

// updated is s with what a heartbeat or join says; fields that it leaves out stay. It is s itself when nothing changes.
func (s *consumerSubscription) updated(change consumerSubscription) *consumerSubscription {
	if change.instance == nil {
		change.instance = s.instance
	}
	if change.rack == nil {
		change.rack = s.rack
	}
	if change.topics == nil {
		change.topics = s.topics
	}
	switch {
	case change.regex == nil:
		change.regex = s.regex
	case *change.regex == "":
		change.regex = nil // the way to unsubscribe from an expression
	}
	if change.rebalanceTimeout == -1 {
		change.rebalanceTimeout = s.rebalanceTimeout
	}
	if change.assignor == nil {
		change.assignor = s.assignor
	}
	if s.equal(&change) {
		return s
	}
	kept := change
	return &kept
}

func samePtr(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
