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
	return v.a.seat.Load().Cluster()
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
	if c.IsExternal() { // the etcd votes; of the brokers one decides
		for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
			switch {
			case id == img.Controller:
				s.Voters = append(s.Voters, node(id, upto))
			case img.Brokers[id].Fenced:
				s.Observers = append(s.Observers, node(id, -1))
			default:
				s.Observers = append(s.Observers, node(id, upto))
			}
		}
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

// AddVoter implements broker.Quorum.
func (v voters) AddVoter(ctx context.Context, n broker.NewVoter) error {
	s, err := v.Describe(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.Voters, func(m broker.QuorumNode) bool { return m.ID == n.ID }) {
		return kafka.Errorf(kafka.DuplicateVoter, "broker %d votes already", n.ID)
	}
	b := v.a.image().Brokers[n.ID]
	c := v.cluster()
	switch {
	case c != nil && c.IsExternal():
		return kafka.Errorf(kafka.InvalidRequest, "%w", quorum.ErrExternal)
	case c == nil:
		return kafka.Errorf(kafka.InvalidRequest, "this broker is a cluster of one: start others with --join, they vote by themselves")
	case b == nil || b.Fenced || len(b.Peers) == 0:
		return kafka.Errorf(kafka.InvalidRequest, "broker %d does not run: a vote is given to a running broker, start it with --join first", n.ID)
	}
	if want := int(v.a.opts.Static.Int("rafka.metadata.voters")); len(s.Voters) >= want {
		return kafka.Errorf(kafka.InvalidRequest, "there are %d voters already, and rafka.metadata.voters is %d: remove one first", len(s.Voters), want)
	}
	err = c.Bar(ctx, n.ID, false)
	var all []quorum.Member
	if err == nil {
		all, err = c.AddVoter(ctx, quorum.Member{Node: n.ID, PeerURL: peerURL(b.Peers[0])})
	}
	if err == nil {
		err = v.a.begin(ctx, n.ID, all)
	}
	if err == nil {
		err = c.Promote(ctx, n.ID)
	}
	if err != nil {
		return kafka.Errorf(kafka.RequestTimedOut, "broker %d does not vote yet, and the controller goes on trying: %w", n.ID, err)
	}
	return nil
}

// RemoveVoter implements broker.Quorum. The broker gets no vote by itself any more; AddVoter gives it one.
func (v voters) RemoveVoter(ctx context.Context, id kafka.BrokerID, _ kafka.UUID) error {
	s, err := v.Describe(ctx)
	if err != nil {
		return err
	}
	c := v.cluster()
	if c == nil {
		return kafka.Errorf(kafka.InvalidRequest, "the last voter cannot be removed")
	}
	if c.IsExternal() {
		return kafka.Errorf(kafka.InvalidRequest, "%w", quorum.ErrExternal)
	}
	list, err := c.Members(ctx)
	if err != nil {
		return kafka.Errorf(kafka.BrokerNotAvailable, "the voters are not to be had: %w", err)
	}
	if !slices.ContainsFunc(list, func(m quorum.VoterStatus) bool { return m.Node == id }) {
		return kafka.Errorf(kafka.VoterNotFound, "broker %d does not vote", id)
	}
	if slices.ContainsFunc(s.Voters, func(m broker.QuorumNode) bool { return m.ID == id }) && len(s.Voters) < 2 {
		return kafka.Errorf(kafka.InvalidRequest, "the last voter cannot be removed")
	}
	if err := c.Bar(ctx, id, true); err != nil {
		return kafka.Errorf(kafka.RequestTimedOut, "the voter could not be removed: %w", err)
	}
	if err := c.RemoveVoter(ctx, id); err != nil {
		return kafka.Errorf(kafka.RequestTimedOut, "the voter could not be removed: %w", err)
	}
	return nil
}
