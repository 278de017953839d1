package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// election says how a leader may be chosen where the present one cannot stay or is not wanted.
type election int8

const (
	online    election = iota // an eligible one; any that is alive if the topic's settings allow that
	preferred                 // the first of the replicas if it is in sync, else as it is
	unclean                   // an eligible one, else any that is alive: what only the others have is lost
)

// goal is what somebody decides about a partition. settle decides the rest.
type goal struct {
	replicas, isr, adding, removing []kafka.BrokerID
	how                             election
	// wiped has come back with an empty disk: what it was once in sync with counts no more. NoBroker: none has.
	wiped kafka.BrokerID
}

// asIs is the goal that nothing changes but what has to.
func asIs(p *metadata.Partition) goal {
	return goal{replicas: p.Replicas, isr: p.ISR, adding: p.Adding, removing: p.Removing, wiped: kafka.NoBroker}
}

// settle is the rule by which every partition changes, whatever the reason: it makes a goal complete and consistent with which brokers
// are alive. changed is false when all stays as it is.
//
//   - Replicas in sync are those of the goal that are alive. Where none is, a leader that is shutting down goes on with those that still
//     serve; where there is no leader either, the list stays as it is and says who must come back.
//   - The eligible leader replicas (KIP-966) are those that have left the ISR since it is smaller than min.insync.replicas: the high
//     watermark has not moved since, so they have everything that was acknowledged.
//   - The leader stays if it can. Else it is the first of the replicas that is in sync and alive, else the first that is eligible and
//     alive, else, where that is allowed, the first that is alive: then it alone is in sync. Else there is none (CTL-2, CTL-4).
//   - A reassignment ends when every replica it aims at is in sync.
//   - The leader epoch rises by one when the leader changes or a replica is taken away, the partition epoch whenever anything does (CTL-3). Who was
//     taken away and knows it late goes on to fetch, and says how far it is; given the replica back it begins with an empty log, and what it
//     said before must not count then.
func (c *changes) settle(t *metadata.Topic, p *metadata.Partition, g goal) (next metadata.Partition, changed bool) {
	c.settings(t)
	next = *p
	next.Replicas, next.Adding, next.Removing = g.replicas, g.adding, g.removing
	next.ISR = c.keep(next.Replicas, func(id kafka.BrokerID) bool { return c.alive(id) && slices.Contains(g.isr, id) })
	if next.Reassigning() && arrived(&next) {
		stays := func(id kafka.BrokerID) bool { return !slices.Contains(next.Removing, id) }
		next.ISR, next.Replicas = c.keep(next.ISR, stays), c.keep(next.Replicas, stays)
		next.Adding, next.Removing = nil, nil
	}
	if len(next.ISR) > 0 {
		next.Leader = leaderInSync(&next, p.Leader, g.how)
		next.ELR = c.eligible(p, &next, g.wiped)
	} else {
		c.withoutISR(p, &next, g)
	}
	if sameMembers(next.ISR, p.ISR) {
		next.ISR = p.ISR
	}
	switch {
	case next.Leader != p.Leader || slices.ContainsFunc(p.Replicas, func(id kafka.BrokerID) bool { return !slices.Contains(next.Replicas, id) }):
		next.LeaderEpoch++
	case slices.Equal(next.ISR, p.ISR) && slices.Equal(next.Replicas, p.Replicas) && slices.Equal(next.ELR, p.ELR) &&
		slices.Equal(next.Adding, p.Adding) && slices.Equal(next.Removing, p.Removing):
		return *p, false
	}
	next.PartitionEpoch++
	return next, true
}

// leaderInSync is who leads when all of next.ISR, which is in the order of the replicas, are alive.
func leaderInSync(next *metadata.Partition, now kafka.BrokerID, how election) kafka.BrokerID {
	if how != preferred && slices.Contains(next.ISR, now) {
		return now
	}
	if first := next.ISR[0]; first == next.Replicas[0] || !slices.Contains(next.ISR, now) {
		return first
	}
	return now
}

// withoutISR completes next when nobody is both in sync and alive.
func (c *changes) withoutISR(p, next *metadata.Partition, g goal) {
	next.ISR = c.keep(next.Replicas, func(id kafka.BrokerID) bool { return slices.Contains(g.isr, id) })
	if c.serves(p.Leader) && slices.Contains(next.ISR, p.Leader) {
		next.ISR = c.keep(next.ISR, c.serves)
		next.ELR = c.eligible(p, next, g.wiped)
		return
	}
	next.ELR = c.eligible(p, next, g.wiped)
	first := func(ok func(kafka.BrokerID) bool) bool {
		at := slices.IndexFunc(next.Replicas, func(id kafka.BrokerID) bool { return c.alive(id) && ok(id) })
		if at >= 0 {
			next.Leader, next.ISR = next.Replicas[at], c.shared(next.Replicas[at:at+1])
		}
		return at >= 0
	}
	switch {
	case first(func(id kafka.BrokerID) bool { return slices.Contains(next.ELR, id) }):
		next.ELR = c.eligible(p, next, g.wiped)
	case (g.how == unclean || g.how == online && c.unclean) && first(func(kafka.BrokerID) bool { return true }):
		next.ELR = nil
	default:
		next.Leader = kafka.NoBroker
	}
}

// eligible are the replicas outside next.ISR that have everything that was acknowledged. The watermark cannot move while fewer are in sync
// than min.insync.replicas asks for, or than there are replicas.
func (c *changes) eligible(p, next *metadata.Partition, wiped kafka.BrokerID) []kafka.BrokerID {
	if len(next.ISR) >= min(c.least, len(next.Replicas)) {
		return nil
	}
	return c.keep(next.Replicas, func(id kafka.BrokerID) bool {
		return id != wiped && !slices.Contains(next.ISR, id) && (slices.Contains(p.ELR, id) || slices.Contains(p.ISR, id))
	})
}

// arrived reports whether every replica that the reassignment aims at is in sync.
func arrived(next *metadata.Partition) bool {
	stay := 0
	for _, id := range next.Replicas {
		if slices.Contains(next.Removing, id) {
			continue
		}
		if !slices.Contains(next.ISR, id) {
			return false
		}
		stay++
	}
	return stay > 0
}
