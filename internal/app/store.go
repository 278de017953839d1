package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

// clusterPatience is how long a start waits for the metadata of a cluster: for a majority of its voters.
const clusterPatience = 5 * time.Minute

// openMetadata opens the store of metadata: this node's own, or that of its cluster, which it finds, joins or founds first.
func (a *App) openMetadata(ctx context.Context) error {
	place := a.opts.Static.String("rafka.metadata")
	if a.member == nil {
		if place != "" {
			return errors.New("brokers that share an etcd must reach each other: give --peer-addr with --metadata")
		}
		return a.openStore(ctx)
	}
	if place != "" {
		return a.openExternal(ctx, place)
	}
	id := a.member.Identity()
	if id.Store != "" {
		return fmt.Errorf("the data directory is of cluster %s, whose metadata is at %s: give --metadata", id.ClusterID, id.Store)
	}
	if !id.Belongs() {
		if len(a.opts.Static.List("rafka.join")) == 0 {
			if n := a.opts.Static.Int("rafka.bootstrap.expect"); n > 1 {
				return fmt.Errorf("%d brokers are to found a cluster (--bootstrap-expect), and none is named: give the peer addresses of all with --join, or each becomes a cluster of its own", n)
			}
			return a.openAlone(ctx)
		}
		if err := a.refuseSecondCluster(); err != nil {
			return err
		}
		var err error
		if id, err = a.member.Find(ctx); err != nil {
			return err
		}
	}
	a.node = id.Node
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	c, err := a.openCluster(ctx, id)
	if err != nil {
		return fmt.Errorf("open the metadata of cluster %s: %w", id.ClusterID, err)
	}
	if c, err = a.readyCluster(ctx, c, id); err != nil {
		return err
	}
	a.seat.Store(quorum.NewSwitchOf(c))
	a.store = a.seat.Load()
	a.onStop("metadata store", func(context.Context) error { return a.store.Close() })
	if id.Founding && len(id.Members) == 1 { // it has nobody to have begun it
		if err := c.Import(ctx, metadata.Snapshot{}, 0); err != nil && !errors.Is(err, quorum.ErrNotEmpty) {
			return fmt.Errorf("begin the metadata of cluster %s: %w", id.ClusterID, err)
		}
	}
	if err := a.ownsID(ctx, c, id); err != nil {
		return err
	}
	if id.Founding { // so that nobody who joins later gets one of these ids
		for _, m := range id.Nodes {
			_, err := c.AssignID(ctx, m.Directory, m.Node)
			if err != nil && !errors.Is(err, quorum.ErrIDTaken) { // taken: its disk was lost, and it has another directory
				return fmt.Errorf("note the founding nodes: %w", err)
			}
		}
	}
	a.guardVote(c)
	a.admitting()
	return nil
}

// readyCluster waits until the store can be had. A voter that finds out that it is one no more is connected to the others.
func (a *App) readyCluster(ctx context.Context, c *quorum.Cluster, id join.Identity) (*quorum.Cluster, error) {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	a.serving.Go(func() { a.verifyVote(looking, c) })
	err := c.Ready(ctx)
	if errors.Is(err, quorum.ErrRemoved) {
		if c, err = a.stepDown(ctx, c); err == nil {
			err = c.Ready(ctx)
		}
	}
	if err == nil {
		return c, nil
	}
	why := fmt.Errorf("the metadata of cluster %s is not to be had: a majority of %s must run: %w", id.ClusterID, addresses(id.Members), err)
	if c != nil {
		why = errors.Join(why, c.Close())
	}
	return nil, why
}

// ownsID makes sure that the node id still belongs to this data directory: one that was taken for lost may have been given to another.
func (a *App) ownsID(ctx context.Context, c *quorum.Cluster, id join.Identity) error {
	_, err := c.AssignID(ctx, id.Directory, id.Node)
	if errors.Is(err, quorum.ErrIDTaken) {
		return fmt.Errorf("node %d of cluster %s has another data directory now, which was started with an empty disk while this one was away: use that one, or join with an empty directory and another --node-id", id.Node, id.ClusterID)
	}
	if err != nil {
		return fmt.Errorf("see whether node %d belongs to this data directory: %w", id.Node, err)
	}
	return nil
}

// refuseSecondCluster keeps data of one cluster from being brought into another.
func (a *App) refuseSecondCluster() error {
	path := filepath.Join(a.metadataDir(), "metadata", "metadata.log")
	_, err := vfs.OS().Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the data directory has a cluster of its own (%s): start it without --join and let the others join it, or join with an empty directory", path)
}

// openAlone opens the store of a cluster of one that others may join.
func (a *App) openAlone(ctx context.Context) error {
	local, err := quorum.Open(quorum.Options{Node: a.node, FS: vfs.OS(), Dir: filepath.Join(a.metadataDir(), "metadata")})
	if err != nil {
		return err
	}
	s := quorum.NewSwitch(local)
	a.store = s
	a.seat.Store(s)
	a.onStop("metadata store", func(context.Context) error { return s.Close() })
	a.member.Serve(func(ctx context.Context, asks join.Admission) (join.Admitted, error) {
		if is := a.image().ClusterID; asks.ClusterID != "" && asks.ClusterID != is {
			return join.Admitted{}, kafka.Errorf(kafka.InconsistentClusterID, "this is cluster %s, not %s", is, asks.ClusterID)
		}
		if err := a.grow(ctx, s); err != nil {
			return join.Admitted{}, kafka.Errorf(kafka.BrokerNotAvailable, "this broker could not become a cluster: %w", err)
		}
		return a.admit(ctx, s.Cluster(), asks)
	})
	return nil
}

// etcdDir is where the voter of this node keeps its files.
func (a *App) etcdDir() string { return filepath.Join(a.metadataDir(), "metadata", "etcd") }

func (a *App) clusterOptions() quorum.ClusterOptions {
	return quorum.ClusterOptions{Dir: a.etcdDir(), Node: a.node, PeerURL: peerURL(a.peerAddr), Logger: a.opts.Logger}
}

// openCluster opens the store of the cluster that this node belongs to.
func (a *App) openCluster(ctx context.Context, id join.Identity) (c *quorum.Cluster, err error) {
	o := a.clusterOptions()
	switch {
	case !id.Voter:
		return quorum.Connect(ctx, o, a.voters)
	case quorum.Exists(o.Dir):
		c, err = quorum.Restart(ctx, o)
	case id.Founding:
		c, err = quorum.StartNew(ctx, o, id.ClusterID, quorumMembers(id.Members))
	default:
		// The vote that it was to get may have gone to another one meanwhile. Then it begins without, and the controller sees to the rest.
		if c, err = quorum.StartJoining(ctx, o, quorumMembers(id.Members)); err != nil {
			a.opts.Logger.Info("this broker begins without a vote", "because", err)
			if err = a.member.Seat(false, id.Members); err == nil {
				return quorum.Connect(ctx, o, a.voters)
			}
		}
	}
	if err == nil {
		a.voter.Store(c)
	}
	return c, err
}
