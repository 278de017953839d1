package group

import (
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
)

// session is until when a member has shown that it lives. A heartbeat writes nothing but the deadline, in place: it need not revert with a
// failed operation, for whoever asked did live. One timer of the group stands at or before the earliest deadline and moves itself when it
// fires, so heartbeats touch no timer.
type session struct{ deadline time.Time }

// newMemberTimeout is how long a member that knows no member id yet may wait for its first answer. It cannot send heartbeats, so this is
// what removes it when it has gone.
const newMemberTimeout = 5 * time.Minute

// maxPending is how many ids a group keeps that were given to joiners who have not come back with them. One more, and the oldest is
// forgotten: whoever comes back with it is told UNKNOWN_MEMBER_ID and begins again.
const maxPending = 1_000

// pendingMember is an id that was given to a joiner, which must come back with it before the deadline.
type pendingMember struct{ deadline time.Time }

func (g *classicGroup) sessionTimer() string { return "classic/session/" + g.id }

// touch begins a member's session anew.
func (g *classicGroup) touch(op *coordinator.Op, m *classicMember) { g.extend(op, m, m.timeout) }

func (g *classicGroup) extend(op *coordinator.Op, m *classicMember, by time.Duration) {
	m.session.deadline = op.Now.Add(by)
	g.watch(op, m.session.deadline)
}

// watch sees to it that the timer fires no later than a deadline.
func (g *classicGroup) watch(op *coordinator.Op, deadline time.Time) {
	if at := g.armed.Get(); !at.IsZero() && !at.After(deadline) && !at.Before(op.Now) {
		return
	}
	g.armed.Set(deadline)
	op.Schedule(g.sessionTimer(), deadline.Sub(op.Now), g.expire)
}

// pend gives an id to a joiner, who must come back with it within its session timeout.
func (g *classicGroup) pend(op *coordinator.Op, id string, timeout time.Duration) {
	if g.unnamed.Len() >= maxPending {
		oldest, first := "", time.Time{}
		for id, p := range g.unnamed.All() {
			if oldest == "" || p.deadline.Before(first) || p.deadline.Equal(first) && id < oldest {
				oldest, first = id, p.deadline
			}
		}
		g.unnamed.Delete(oldest)
	}
	deadline := op.Now.Add(timeout)
	g.unnamed.Set(id, pendingMember{deadline})
	g.watch(op, deadline)
}

// expire removes who has shown nothing for too long, and sets the timer for the next one.
func (g *classicGroup) expire(op *coordinator.Op) {
	if !g.current() {
		return
	}
	g.armed.Set(time.Time{})
	changed := false
	for id, p := range g.unnamed.All() {
		if !p.deadline.After(op.Now) {
			g.unnamed.Delete(id)
			changed = true
		}
	}
	for _, m := range g.sorted() {
		// Who waits for an answer shows that it lives, except when it knows no member id yet: its connection may be gone for good.
		if m.session.deadline.After(op.Now) || !m.isNew && (m.join != nil || m.sync != nil) {
			continue
		}
		op.Note(g.id, fmt.Sprintf("member %s expired after %s without heartbeat", m.id, m.timeout))
		g.expel(op, m)
		changed = true
	}
	if changed {
		g.membersLeft(op, "members whose session ended were removed")
	}
	if g.current() {
		g.rearm(op)
	}
}

// rearm sets the timer to the earliest deadline.
func (g *classicGroup) rearm(op *coordinator.Op) {
	var first time.Time
	earlier := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	for _, p := range g.unnamed.All() {
		earlier(p.deadline)
	}
	for _, m := range g.members.All() {
		if m.isNew || m.join == nil && m.sync == nil {
			earlier(m.session.deadline)
		}
	}
	if !first.IsZero() {
		g.watch(op, first)
	}
}
