package app

import (
	"context"
	"maps"
	"slices"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
)

// voters answers clients that ask who keeps the metadata.
type voters struct {
	a *App
}

// cluster is the store over etcd; nil while this broker is a cluster of one.
func (v voters) cluster() *quorum.Cluster {
	if c, ok := v.a.store.(*quorum.Cluster); ok {
		return c
	}
	return v.a.voter.Load()
}

// Describe implements broker.Quorum.
func (v voters) Describe(ctx context.Context) (broker.QuorumState, error) {
	img := v.a.image()
	upto := int64(img.Offset)
	node := func(id kafka.BrokerID, end int64) broker.QuorumNode {
		return broker.QuorumNode{ID: id, LogEnd: end, LastFetch: kafka.NoTimestamp, LastCaughtUp: kafka.NoTimestamp}
	}
	s := broker.QuorumState{Leader: img.Controller, Term: img.Term, HighWatermark: upto}
	c := v.cluster()
	if c == nil {
		s.Voters = append(s.Voters, node(v.a.node, upto))
		return s, nil
	}
	list, err := c.Voters(ctx)
	if err != nil {
		return s, kafka.Errorf(kafka.BrokerNotAvailable, "the voters are not to be had: %w", err)
	}
	votes := map[kafka.BrokerID]bool{}
	for _, m := range list {
		end := int64(-1)
		if m.Healthy {
			end = upto
		}
		if m.Learner {
			s.Observers = append(s.Observers, node(m.Node, end))
		} else {
			s.Voters = append(s.Voters, node(m.Node, end))
		}
		votes[m.Node] = true
	}
	for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
		if !votes[id] {
			end := upto
			if img.Brokers[id].Fenced {
				end = -1
			}
			s.Observers = append(s.Observers, node(id, end))
		}
	}
	return s, nil
}

// AddVoter implements broker.Quorum. A broker becomes a voter when it joins; one that runs without a vote cannot be given one.
func (v voters) AddVoter(ctx context.Context, n broker.NewVoter) error {
	s, err := v.Describe(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.Voters, func(m broker.QuorumNode) bool { return m.ID == n.ID }) {
		return kafka.Errorf(kafka.DuplicateVoter, "broker %d votes already", n.ID)
	}
	return kafka.Errorf(kafka.InvalidRequest, "a broker votes from the time it joins, while there are fewer voters than rafka.metadata.voters: remove a voter, then start a new broker with --join")
}

// RemoveVoter implements broker.Quorum.
func (v voters) RemoveVoter(ctx context.Context, id kafka.BrokerID, _ kafka.UUID) error {
	s, err := v.Describe(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(append(s.Voters, s.Observers...), func(m broker.QuorumNode) bool { return m.ID == id }) {
		return kafka.Errorf(kafka.VoterNotFound, "broker %d does not vote", id)
	}
	c := v.cluster()
	if c == nil || len(s.Voters) < 2 {
		return kafka.Errorf(kafka.InvalidRequest, "the last voter cannot be removed")
	}
	if err := c.RemoveVoter(ctx, id); err != nil {
		return kafka.Errorf(kafka.RequestTimedOut, "the voter could not be removed: %w", err)
	}
	return nil
}
