package quorum

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"

	"github.com/rafka-io/rafka/internal/vfs"
)

// All four ways to start return as soon as this node takes connections, so that the other members can reach it, and do not wait for a
// majority; Ready and Load do.

// StartNew makes a cluster. Every one of its members calls it with the same token and the same members, in any order and at any time,
// and as often as it takes: a later call goes on with what an earlier one began. As the only member this node starts from nothing, and
// the directory counts (Exists) only once Import, or the first Commit, is durable.
func StartNew(ctx context.Context, o ClusterOptions, token string, members []Member) (*Cluster, error) {
	o = o.withDefaults()
	if !slices.ContainsFunc(members, func(m Member) bool { return m.Node == o.Node && m.PeerURL == o.PeerURL }) {
		return nil, fmt.Errorf("broker %d at %s is none of the members %v", o.Node, o.PeerURL, members)
	}
	m := marker{Node: o.Node, Token: token, Members: members}
	return startMember(ctx, o, func(found *marker) (marker, bool, error) {
		switch {
		case found == nil && len(members) == 1:
			return m, false, nil
		case found == nil:
			return m, true, nil
		case len(members) == 1 || found.Token != token || found.Joining || !slices.Equal(found.Members, members):
			return m, false, fmt.Errorf("%s holds a member of another cluster: restart it, or choose another directory", o.Dir)
		}
		return *found, true, nil
	})
}

// StartJoining starts this node as the learner that AddVoter has made of it. What the directory has of an earlier membership is removed.
func StartJoining(ctx context.Context, o ClusterOptions, members []Member) (*Cluster, error) {
	o = o.withDefaults()
	i := slices.IndexFunc(members, func(m Member) bool { return m.PeerURL == o.PeerURL })
	if i < 0 {
		return nil, fmt.Errorf("broker %d at %s is none of the members %v: add it first", o.Node, o.PeerURL, members)
	}
	members = slices.Clone(members)
	members[i].Node = o.Node
	m := marker{Node: o.Node, Joining: true, Members: members}
	return startMember(ctx, o, func(found *marker) (marker, bool, error) {
		if found == nil {
			return m, true, nil
		}
		for _, was := range found.Members {
			if was.Node == o.Node && was.ID != 0 && was.ID == members[i].ID {
				return *found, true, nil
			}
		}
		// Without its marker the directory holds nothing, and what etcd left there is removed below.
		return m, true, removeMarker(o.Dir)
	})
}

// Restart starts the member whose files are in the directory. It needs no help from others to start, and a majority to be ready. Its
// peer URL may be another one than before. Errors: fs.ErrNotExist when there is none.
func Restart(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	o = o.withDefaults()
	return startMember(ctx, o, func(found *marker) (marker, bool, error) {
		if found == nil {
			return marker{}, false, fmt.Errorf("%s holds no member of a cluster: %w", o.Dir, fs.ErrNotExist)
		}
		return *found, true, nil
	})
}

// startMember starts an embedded etcd. choose is given the marker of the directory, nil if there is none, and says what to start and
// whether the directory counts from now on.
func startMember(ctx context.Context, o ClusterOptions, choose func(*marker) (marker, bool, error)) (c *Cluster, err error) {
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", o.Dir, err)
	}
	m, counts, err := prepareDir(o, choose)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", o.Dir, err), lock.Close())
	}
	e, err := startEtcd(o, m, lock)
	if err != nil {
		return nil, err
	}
	c = newCluster(o)
	c.etcd, c.client, c.marker, c.counts = e, v3client.New(e.Server), m, counts
	c.wg.Go(c.read)
	c.wg.Go(c.watchLeader)
	c.wg.Go(c.commitAll)
	c.wg.Go(c.compactAll)
	return c, nil
}

// prepareDir brings the directory into the state from which etcd is to start.
func prepareDir(o ClusterOptions, choose func(*marker) (marker, bool, error)) (marker, bool, error) {
	var found *marker
	switch m, err := readMarker(o.Dir); {
	case err == nil:
		found = &m
	case !errors.Is(err, fs.ErrNotExist):
		return marker{}, false, err
	}
	if found != nil && found.Node != o.Node {
		return marker{}, false, fmt.Errorf("the directory belongs to broker %d, this is broker %d", found.Node, o.Node)
	}
	m, counts, err := choose(found)
	if err != nil {
		return m, false, err
	}
	if found != nil && Exists(o.Dir) {
		return m, true, nil
	}
	// Nothing here counts: it is the rest of a membership that has ended, or of an Import that was not finished, after which the store it
	// was to replace went on.
	if err := vfs.OS().RemoveAll(filepath.Join(o.Dir, etcdDir)); err != nil {
		return m, false, fmt.Errorf("remove what an earlier start has left: %w", err)
	}
	if err := vfs.OS().SyncDir(o.Dir); err != nil {
		return m, false, err
	}
	if !counts {
		return m, false, nil
	}
	// A voter must never forget how it voted: the directory counts before etcd writes the first vote.
	return m, true, writeMarker(o.Dir, m)
}
