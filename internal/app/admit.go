package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

// promotePatience is how long a new voter may take to catch up before another attempt is left to its next start.
const promotePatience = 2 * time.Minute

// admitting lets others into the cluster from now on.
func (a *App) admitting() {
	a.member.Serve(func(ctx context.Context, asks join.Admission) (join.Admitted, error) {
		return a.admit(ctx, a.seat.Load().Cluster(), asks)
	})
}

// admit gives a node its id and its place: a voter while there are fewer than there should be, else a broker that reaches the voters as a client.
func (a *App) admit(ctx context.Context, c *quorum.Cluster, asks join.Admission) (join.Admitted, error) {
	self := a.member.Identity()
	none := join.Admitted{}
	id, err := c.AssignID(ctx, asks.Directory, asks.Want)
	empty := false
	if errors.Is(err, quorum.ErrIDTaken) {
		if err := a.lostDisk(ctx, c, asks); err != nil {
			return none, err
		}
		id, empty, err = asks.Want, true, c.Adopt(ctx, asks.Directory, asks.Want)
	}
	if err != nil {
		return none, kafka.Errorf(kafka.BrokerNotAvailable, "the cluster's metadata cannot be changed now: %w", err)
	}
	voters, err := c.Voters(ctx)
	if err != nil {
		return none, kafka.Errorf(kafka.BrokerNotAvailable, "the voters are not to be had: %w", err)
	}
	answer := join.Admitted{ClusterID: self.ClusterID, Node: id, EmptyDisk: empty || a.returnsEmpty(id, asks)}
	for _, v := range voters {
		answer.Members = append(answer.Members, join.Member{Node: v.Node, Peer: strings.TrimPrefix(v.PeerURL, "http://")})
		answer.Voter = answer.Voter || v.Node == id
	}
	if !answer.Voter && len(voters) >= int(a.opts.Static.Int("rafka.metadata.voters")) {
		return answer, nil
	}
	all, err := c.AddVoter(ctx, quorum.Member{Node: id, PeerURL: peerURL(asks.Peer)})
	if err != nil {
		return none, kafka.Errorf(kafka.BrokerNotAvailable, "a voter cannot be added now: %w", err)
	}
	answer.Voter, answer.Members = true, nil
	for _, m := range all {
		answer.Members = append(answer.Members, join.Member{Node: m.Node, Peer: strings.TrimPrefix(m.PeerURL, "http://")})
	}
	a.serving.Go(func() {
		ctx, cancel := context.WithTimeout(a.running, promotePatience)
		defer cancel()
		if err := c.Promote(ctx, id); err != nil && a.running.Err() == nil {
			a.opts.Logger.Warn("a new voter has not caught up yet and has no vote", "node", id, "err", err)
		}
	})
	return answer, nil
}

// lostDisk reports an error unless the node that asks is one that this cluster knows, comes back at the same address, and has lost its disk: then
// its id is its own again. Another node that asks for the id of one that is down for a moment is refused.
func (a *App) lostDisk(ctx context.Context, c *quorum.Cluster, asks join.Admission) error {
	snapshot, _, err := c.Load(ctx)
	if err != nil {
		return kafka.Errorf(kafka.BrokerNotAvailable, "the cluster's metadata is not to be had: %w", err)
	}
	img, _, err := snapshot.Image()
	if err != nil {
		return err
	}
	refuse := func(why string) error {
		return kafka.Errorf(kafka.DuplicateBrokerRegistration, "node id %d belongs to another data directory%s: leave out --node-id, or decommission the broker that had it", asks.Want, why)
	}
	switch b := img.Brokers[asks.Want]; {
	case b == nil:
		return refuse("")
	case !b.Fenced:
		return refuse(", whose broker runs")
	case !slices.Contains(b.Peers, asks.Peer):
		return refuse(", of a broker at " + strings.Join(b.Peers, ", ") + ", and only at that address a node is taken for the same one that has lost its disk")
	}
	a.opts.Logger.Warn("a broker comes back with an empty disk", "broker", asks.Want, "address", asks.Peer)
	return nil
}

// returnsEmpty reports whether a node that was admitted before and asks again, because it did not hear the answer, is one with an empty disk.
func (a *App) returnsEmpty(id kafka.BrokerID, asks join.Admission) bool {
	b := a.image().Brokers[id]
	return b != nil && b.Fenced && slices.Contains(b.Peers, asks.Peer)
}

// grow makes the cluster of one that this broker is a cluster that others can join: its metadata moves from its own file into etcd.
func (a *App) grow(ctx context.Context, s *quorum.Switch) error {
	a.growing.Lock()
	defer a.growing.Unlock()
	if a.voter.Load() != nil {
		return nil
	}
	clusterID := a.image().ClusterID
	if clusterID == "" {
		return errors.New("it is starting")
	}
	self := join.Member{Node: a.node, Directory: a.member.Identity().Directory, Peer: a.peerAddr}
	return s.To(ctx, func(snapshot metadata.Snapshot, r quorum.Revision) (*quorum.Cluster, error) {
		if err := vfs.OS().RemoveAll(a.etcdDir()); err != nil { // of an attempt that did not come to its end
			return nil, err
		}
		c, err := quorum.StartNew(a.running, a.clusterOptions(), clusterID, quorumMembers([]join.Member{self}))
		if err != nil {
			return nil, err
		}
		a.voter.Store(c) // its own traffic comes by the peer port
		err = c.Ready(ctx)
		if err == nil {
			err = c.Import(ctx, snapshot, r)
		}
		if err == nil {
			_, err = c.AssignID(ctx, self.Directory, self.Node)
		}
		if err == nil { // from here on a restart opens etcd
			err = a.member.Belong(join.Admitted{ClusterID: clusterID, Node: self.Node, Voter: true, Founding: true, Members: []join.Member{self}})
		}
		if err != nil {
			a.voter.Store(nil)
			return nil, errors.Join(err, c.Close())
		}
		a.guardVote(c)
		return c, nil
	})
}
