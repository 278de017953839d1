package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/cluster/peer"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/seats"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// methodVote has a broker start the learner that the store has made of it. The body is the members as JSON, itself included.
	methodVote = "vote.begin"
	// verifyInterval is how often a voter that knows no leader asks whether it still is one.
	verifyInterval = 2 * time.Second
	// knowInterval is how often a node looks whether others are to be found elsewhere.
	knowInterval = 15 * time.Second
	// maxKnown bounds the addresses that are kept.
	maxKnown = 64
)

// keepSeats has dead voters replaced where the store is led, and remembers where the others are.
func (a *App) keepSeats() {
	k := seats.New(seats.Options{
		Store: func() seats.Store {
			c := a.seat.Load().Cluster()
			if c == nil || !c.Votes() || !c.Leadership().Here {
				return nil
			}
			return c
		},
		Image: a.image, Begin: a.begin,
		URL:  func(b *metadata.Broker) string { return peerURL(b.Peers[0]) },
		Want: int(a.opts.Static.Int("rafka.metadata.voters")), Replace: a.opts.Static.Duration("rafka.quorum.replace.ms"), Logger: a.opts.Logger,
	})
	a.serving.Go(func() { k.Run(a.running) })
	a.serving.Go(func() {
		for a.wait(a.running, knowInterval) {
			if err := a.know(); err != nil && a.running.Err() == nil {
				a.opts.Logger.Warn("where the other brokers are could not be written down", "err", err)
			}
		}
	})
}

// wait reports false when ctx ended first.
func (a *App) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// know writes down where brokers of the cluster are.
func (a *App) know() error {
	if id := a.member.Identity(); !id.Belongs() {
		return nil
	}
	var addrs []string
	for id, b := range a.image().Brokers {
		if id != a.node && len(b.Peers) > 0 {
			addrs = append(addrs, b.Peers[0])
		}
	}
	slices.Sort(addrs)
	return a.member.Know(addrs[:min(len(addrs), maxKnown)])
}

// begin has a broker, this one or another, start its learner.
func (a *App) begin(ctx context.Context, node kafka.BrokerID, members []quorum.Member) error {
	if node == a.node {
		return a.becomeVoter(ctx, members)
	}
	body, err := json.Marshal(members)
	if err != nil {
		return err
	}
	_, err = a.peers.Call(ctx, node, methodVote, body)
	return err
}

// serveVote is the method by which the controller gives this broker a vote.
func (a *App) serveVote(ctx context.Context, _ peer.Caller, body []byte) ([]byte, error) {
	var members []quorum.Member
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, kafka.Errorf(kafka.InvalidRequest, "not understood: %w", err)
	}
	if !a.ready.Load() {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "broker %d is starting", a.node)
	}
	return nil, a.becomeVoter(ctx, members)
}

// becomeVoter starts the learner that the store has made of this broker. It goes over to it when it has the metadata; until then the store is
// reached as before. Called again it changes nothing.
func (a *App) becomeVoter(ctx context.Context, members []quorum.Member) error {
	a.growing.Lock()
	defer a.growing.Unlock()
	self := slices.IndexFunc(members, func(m quorum.Member) bool { return m.Node == a.node || m.PeerURL == peerURL(a.peerAddr) })
	if self < 0 {
		return kafka.Errorf(kafka.InvalidRequest, "broker %d at %s is none of the members", a.node, a.peerAddr)
	}
	if c := a.voter.Load(); c != nil {
		if c.MemberID() == members[self].ID && c.Err() == nil {
			return nil
		}
		// The membership before has ended, and this node has not heard of it yet.
		c.Verify(ctx, a.voters())
		return kafka.Errorf(kafka.BrokerNotAvailable, "broker %d is leaving the vote that it had: try again", a.node)
	}
	if err := a.member.Seat(true, joinMembers(members)); err != nil {
		return err
	}
	c, err := quorum.StartJoining(a.running, a.clusterOptions(), members)
	if err != nil {
		return kafka.Errorf(kafka.BrokerNotAvailable, "broker %d could not start its etcd: %w", a.node, err)
	}
	a.voter.Store(c)
	a.serving.Go(func() {
		if err := a.seat.Load().Replace(a.running, c); err != nil && a.running.Err() == nil {
			a.voter.CompareAndSwap(c, nil)
			a.opts.Logger.Warn("this broker could not become a voter, and goes on without a vote", "err", err)
			return
		}
		a.guardVote(c)
	})
	return nil
}

// guardVote looks after a voter of this process as long as it lives: when it has lost its vote the store is reached as a client from then on.
func (a *App) guardVote(c *quorum.Cluster) {
	if !c.Votes() {
		return
	}
	a.serving.Go(func() { a.verifyVote(a.running, c) })
	a.serving.Go(func() {
		select {
		case <-a.running.Done():
			return
		case <-c.Ended():
		}
		if !errors.Is(c.Err(), quorum.ErrRemoved) {
			return
		}
		for {
			next, err := a.stepDown(a.running, c)
			if err == nil {
				err = a.seat.Load().Replace(a.running, next)
			}
			if err == nil || !a.wait(a.running, verifyInterval) {
				return
			}
			a.opts.Logger.Warn("this broker has lost its vote and does not reach the voters yet; it tries again", "err", err)
		}
	})
}

// stepDown makes a client of a node whose vote was taken. What its etcd has kept is removed; what the broker keeps stays.
func (a *App) stepDown(ctx context.Context, c *quorum.Cluster) (*quorum.Cluster, error) {
	a.growing.Lock()
	defer a.growing.Unlock()
	a.voter.CompareAndSwap(c, nil)
	if err := a.member.Seat(false, a.member.Identity().Members); err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		a.opts.Logger.Warn("etcd did not end in order after this broker lost its vote", "err", err)
	}
	if err := quorum.Forget(a.etcdDir()); err != nil {
		return nil, fmt.Errorf("remove what the lost vote has left: %w", err)
	}
	a.opts.Logger.Warn("this broker has no vote any more: the others have removed it while it was away, or somebody asked for that. It goes on without", "broker", a.node)
	return quorum.Connect(ctx, a.clusterOptions(), a.voters)
}

// verifyVote asks others, while this voter knows no leader, whether it still is one.
func (a *App) verifyVote(ctx context.Context, c *quorum.Cluster) {
	for a.wait(ctx, verifyInterval) {
		if c.Err() != nil {
			return
		}
		if c.Leadership().Controller == kafka.NoBroker {
			c.Verify(ctx, a.voters())
		}
	}
}

func joinMembers(list []quorum.Member) (members []join.Member) {
	for _, m := range list {
		members = append(members, join.Member{Node: m.Node, Peer: strings.TrimPrefix(m.PeerURL, "http://")})
	}
	return members
}
