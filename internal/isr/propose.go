package isr

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Member is a replica of an ISR that is proposed.
type Member struct {
	ID    kafka.BrokerID
	Epoch int64 // its broker epoch, as it told with its fetches; -1: not known
}

// Proposal is an ISR that the leader asks the controller for.
type Proposal struct {
	PartitionEpoch int32 // of the metadata it is based on: the controller refuses it if there are newer ones
	ISR            []Member
}

const (
	// refusedPatience is how long a follower that was refused is not proposed again.
	refusedPatience = 500 * time.Millisecond
	// repeatPatience is how long a proposal of which no answer came is not made again.
	repeatPatience = 250 * time.Millisecond
	// strayPatience is how long a proposal of which no answer came may still be on its way: a refusal of its repeat does not end it before.
	strayPatience = 10 * time.Second
)

// Wants reports whether Propose would let somebody join, or has a proposal to make again.
func (l *Leader) Wants(now time.Time) bool {
	if l.pending != nil {
		return l.pending.due(now)
	}
	return slices.ContainsFunc(l.followers, func(f follower) bool { return l.mayJoin(&f, now) })
}

// due reports whether the proposal is to be made again.
func (p *pending) due(now time.Time) bool { return p.again && now.Sub(p.asked) >= repeatPatience }

// Patience is how long a member may lack something.
type Patience struct {
	Lag time.Duration // it has not been caught up for longer: it leaves
	// Silence: its broker has asked for nothing at all for longer, as when the link between both is cut; 0: however long.
	Silence time.Duration
	// Heard is when a broker asked for anything last, of whatever partition; nil: it is known of this one only.
	Heard func(kafka.BrokerID) time.Time
}

// spent reports whether a member has lacked something for too long.
func (y *Patience) spent(f *follower, now time.Time) bool {
	if now.Sub(f.caughtUp) > y.Lag {
		return true
	}
	last := later(f.caughtUp, f.fetched)
	if y.Silence <= 0 || now.Sub(last) <= y.Silence {
		return false
	}
	return y.Heard == nil || now.Sub(y.Heard(f.id)) > y.Silence
}

// Propose returns the change that the ISR needs, if it needs one and none is under way (ISR-4): without the members that have not been caught up for
// too long or are silent (Patience), or with those that may join. end is the leader's log end: who has all of it is not behind, however long ago it
// fetched.
//
// Who may join counts from now on; who is to leave counts until the metadata say that it has left.
func (l *Leader) Propose(end kafka.Offset, now time.Time, patience Patience) (Proposal, bool) {
	if p := l.pending; p != nil {
		if !p.due(now) {
			return Proposal{}, false
		}
		p.again, p.asked = false, now
		p.isr = slices.Clone(p.isr)
		for i := range p.isr {
			// A broker that has begun another life since is no less welcome, provided it has not lost what it had.
			if f := l.find(p.isr[i].ID); f != nil && (!f.joining || f.end >= l.hw && f.end >= l.start) {
				p.isr[i].Epoch = f.epoch
			}
		}
		return Proposal{p.version, p.isr}, true
	}
	if !l.known {
		return Proposal{}, false
	}
	isr := make([]Member, 0, len(l.followers)+1)
	for _, id := range l.committed {
		f := l.find(id)
		switch {
		case f == nil:
			isr = append(isr, Member{id, -1})
		case f.end >= end || !patience.spent(f, now):
			isr = append(isr, Member{id, f.epoch})
		}
	}
	if len(isr) == len(l.committed) {
		for i := range l.followers {
			if f := &l.followers[i]; l.mayJoin(f, now) {
				f.joining = true
				isr = append(isr, Member{f.id, f.epoch})
			}
		}
	}
	if len(isr) == len(l.committed) {
		return Proposal{}, false
	}
	l.pending = &pending{version: l.version, isr: isr, asked: now}
	return Proposal{l.version, isr}, true
}

// Outcome is what became of a proposal.
type Outcome int8

const (
	Accepted Outcome = iota // the metadata will say so
	Refused                 // it was not carried out and never will be
	Unknown                 // it may have been carried out, or may be yet
)

// Answered takes in what became of a proposal based on a partition epoch. Only one that was refused is dropped: of all others the metadata have the last
// word, and until then who was to join counts as a member (ISR-2).
func (l *Leader) Answered(partitionEpoch int32, o Outcome, now time.Time) {
	p := l.pending
	if p == nil || p.version != partitionEpoch {
		return
	}
	if o == Refused && !p.lost.IsZero() && now.Sub(p.lost) < strayPatience {
		p.again = true
		return
	}
	switch o {
	case Refused:
		for i := range l.followers {
			if f := &l.followers[i]; f.joining {
				f.refused = now.Add(refusedPatience)
			}
		}
		l.drop()
	case Unknown:
		p.again, p.lost = true, now
	}
}
