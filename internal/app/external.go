package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
)

// externalPatience is how long a start waits for an etcd that others run.
const externalPatience = 30 * time.Second

// openExternal opens the metadata in an etcd that others run. Whoever comes to the same prefix is of the same cluster: there is nobody to
// join, and the first one names it.
func (a *App) openExternal(ctx context.Context, place string) error {
	endpoints, prefix, err := quorum.ParseExternal(place)
	if err != nil {
		return fmt.Errorf("rafka.metadata: %w", err)
	}
	id := a.member.Identity()
	if id.Belongs() && id.Store == "" {
		return fmt.Errorf("the data directory is of cluster %s, which keeps its metadata in its brokers: leave out --metadata, or start with an empty directory", id.ClusterID)
	}
	if !id.Belongs() {
		if err := a.refuseSecondCluster(); err != nil {
			return err
		}
	}
	c, err := quorum.External(ctx, quorum.ClusterOptions{Node: a.node, Logger: a.opts.Logger}, endpoints, prefix)
	if err != nil {
		return err
	}
	a.seat.Store(quorum.NewSwitchOf(c))
	a.store = a.seat.Load()
	a.onStop("metadata store", func(context.Context) error { return a.store.Close() })
	ctx, cancel := context.WithTimeout(ctx, externalPatience)
	defer cancel()
	propose := ""
	if !id.Belongs() {
		if propose = a.opts.Static.String("rafka.cluster.id"); propose == "" {
			propose = kafka.NewUUID().String()
		}
	}
	found, err := c.ClusterID(ctx, propose)
	if err != nil {
		return fmt.Errorf("no etcd answers at %s within %v: see that the addresses of --metadata are right and that it has a majority: %w", place, externalPatience, err)
	}
	configured := a.opts.Static.String("rafka.cluster.id")
	switch {
	case id.Belongs() && found == "":
		return fmt.Errorf("there is no metadata at %s, and the data directory is of cluster %s: give the address and the prefix of that, or restore the etcd from a backup", place, id.ClusterID)
	case id.Belongs() && found != id.ClusterID:
		return fmt.Errorf("the metadata at %s is of cluster %s, and the data directory of cluster %s: give the address and the prefix of that one, or start with an empty directory", place, found, id.ClusterID)
	case configured != "" && found != configured:
		return fmt.Errorf("the metadata at %s is of cluster %s, and rafka.cluster.id says %s: use another prefix", place, found, configured)
	}
	if err := c.Ready(ctx); err != nil {
		return fmt.Errorf("the metadata at %s is not to be had: %w", place, err)
	}
	if id.Belongs() {
		err = a.ownsID(ctx, c, id)
	} else {
		err = a.belongExternal(ctx, c, found, place)
	}
	if err != nil {
		return err
	}
	a.node = a.member.Identity().Node
	c.Campaign(a.node)
	a.member.Serve(func(context.Context, join.Admission) (join.Admitted, error) {
		return join.Admitted{}, kafka.Errorf(kafka.InvalidRequest, "this cluster keeps its metadata in an etcd: start with --metadata %s instead of --join", place)
	})
	return nil
}

// belongExternal gives this node its id.
func (a *App) belongExternal(ctx context.Context, c *quorum.Cluster, cluster, place string) error {
	directory, want := a.member.Identity().Directory, a.wantedID()
	node, err := c.AssignID(ctx, directory, want)
	empty := false
	if errors.Is(err, quorum.ErrIDTaken) {
		if err := a.lostDisk(ctx, c, join.Admission{Directory: directory, Peer: a.peerAddr, Want: want}); err != nil {
			return err
		}
		node, empty, err = want, true, c.Adopt(ctx, directory, want)
	}
	if err != nil {
		return err
	}
	return a.member.Belong(join.Admitted{ClusterID: cluster, Node: node, Store: place, EmptyDisk: empty})
}
