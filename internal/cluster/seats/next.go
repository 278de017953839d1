package seats

import (
	"cmp"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// State is what a decision depends on.
type State struct {
	Voters  []Voter
	Brokers []Broker // all that are registered
	Want    int      // how many voters there should be
	Replace time.Duration
}

// Voter is a voter, or a learner on its way to be one.
type Voter struct {
	Node    kafka.BrokerID // NoBroker: it has not said yet
	ID      uint64         // of the membership
	Learner bool
	Leads   bool          // the store, so it is never taken its vote for being one too many
	Dead    time.Duration // since when its broker is fenced or not registered; 0: it lives
}

// Broker is a registered broker.
type Broker struct {
	ID    kafka.BrokerID
	Lives bool
	May   bool // it stays, it was not refused a vote by hand, and did not fail to become a voter lately
}

// Kind of a Step.
type Kind int

// What a Step does.
const (
	Nothing Kind = iota
	Add          // as a learner
	Seat         // have the learner start, and promote it when it has caught up
	Remove
)

// Step is the next thing to do.
type Step struct {
	Kind Kind
	Node kafka.BrokerID
	ID   uint64 // of the membership; not of Add
	Why  string // for the log
}

// learnerPatience is how long a learner may be dead before it is removed. It has no vote, so nothing depends on it.
const learnerPatience = time.Minute

// Next decides.
func Next(s State) Step {
	var voters, learners, dead []Voter
	for _, v := range s.Voters {
		switch {
		case v.Learner && v.Dead > min(learnerPatience, s.Replace):
			return Step{Remove, v.Node, v.ID, "it was to become a voter and is dead"}
		case v.Learner && v.Dead > 0:
			return Step{} // it may come back in a moment
		case v.Learner:
			learners = append(learners, v)
			continue
		}
		voters = append(voters, v)
		if v.Dead > 0 {
			dead = append(dead, v)
		}
	}
	if len(learners) > 0 && len(voters) < s.Want {
		return Step{Seat, learners[0].Node, learners[0].ID, "it is on its way to be a voter"}
	}
	candidates := s.candidates()
	for _, l := range learners {
		candidates = append(candidates, l.Node)
	}
	alive := len(voters) - len(dead)
	if len(dead) > 0 {
		if alive < majority(len(voters)) {
			return Step{} // nothing can be changed
		}
		longest := slices.MaxFunc(dead, func(a, b Voter) int { return cmp.Compare(a.Dead, b.Dead) })
		useful := len(candidates) > 0 || alive-majority(alive) > alive-majority(len(voters))
		if longest.Dead < s.Replace || !useful || alive < majority(len(voters)-1) {
			return Step{}
		}
		return Step{Remove, longest.Node, longest.ID, "it has been dead for " + longest.Dead.Round(time.Second).String() + " and another broker can vote"}
	}
	if len(learners) > 0 {
		return Step{Remove, learners[0].Node, learners[0].ID, "there are enough voters without it"}
	}
	if len(voters) > s.Want { // two were given a vote at the same time, or fewer are wanted than there were
		for _, v := range slices.Backward(voters) {
			if !v.Leads {
				return Step{Remove, v.Node, v.ID, "there are more voters than rafka.metadata.voters"}
			}
		}
	}
	// An even number of voters bears no more failures than one less, so the one that makes it even comes only with the next one in sight.
	odd := (len(voters)+1)%2 == 1
	if len(voters) < s.Want && len(candidates) > 0 && (odd || len(candidates) > 1 && len(voters)+2 <= s.Want) {
		return Step{Kind: Add, Node: candidates[0], Why: "there are too few voters"}
	}
	return Step{}
}

// candidates are the brokers that can be given a vote, by id.
func (s *State) candidates() []kafka.BrokerID {
	var ids []kafka.BrokerID
	for _, b := range s.Brokers {
		has := slices.ContainsFunc(s.Voters, func(v Voter) bool { return v.Node == b.ID })
		if b.Lives && b.May && !has {
			ids = append(ids, b.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// majority of so many voters.
func majority(n int) int { return n/2 + 1 }
