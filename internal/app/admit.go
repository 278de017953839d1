package app

import (
	"context"
	"errors"
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
func (a *App) admitting(c *quorum.Cluster) {
	a.member.Serve(func(ctx context.Context, asks join.Admission) (join.Admitted, error) { return a.admit(ctx, c, asks) })
}

// admit gives a node its id and its place: a voter while there are fewer than there should be, else a broker that reaches the voters as a client.
func (a *App) admit(ctx context.Context, c *quorum.Cluster, asks join.Admission) (join.Admitted, error) {
	self := a.member.Identity()
	none := join.Admitted{}
	id, err := c.AssignID(ctx, asks.Directory, asks.Want)
	if errors.Is(err, quorum.ErrIDTaken) {
		return none, kafka.Errorf(kafka.DuplicateBrokerRegistration, "node id %d belongs to another data directory: leave out --node-id, or unregister the broker that had it", asks.Want)
	}
	if err != nil {
		return none, kafka.Errorf(kafka.BrokerNotAvailable, "the cluster's metadata cannot be changed now: %w", err)
	}
	voters, err := c.Voters(ctx)
	if err != nil {
		return none, kafka.Errorf(kafka.BrokerNotAvailable, "the voters are not to be had: %w", err)
	}
	answer := join.Admitted{ClusterID: self.ClusterID, Node: id}
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
		return c, nil
	})
}
