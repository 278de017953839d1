package quorum

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Ended is closed when the store has ended, by Close or for a reason that Err tells.
func (c *Cluster) Ended() <-chan struct{} { return c.ctx.Done() }

// Err says why the store has ended: ErrClosed, ErrRemoved, or what made it useless. It is nil before that.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Votes reports whether an etcd runs here: as a voter, or as a learner on its way to be one.
func (c *Cluster) Votes() bool { return c.etcd != nil }

// MemberID is etcd's number of this node's membership; 0 of a client.
func (c *Cluster) MemberID() uint64 {
	if c.etcd == nil {
		return 0
	}
	return uint64(c.etcd.Server.MemberID())
}

// Verify asks others whether this node is still a member, and ends the store with ErrRemoved if a majority says that it is not. A member
// learns that from the other members, but only while it knows where they are: one that was away for long may know none. addrs are peer ports at which
// there may be one. Who cannot be asked, or is of another cluster, counts for nothing.
func (c *Cluster) Verify(ctx context.Context, addrs []string) {
	if c.etcd == nil {
		return
	}
	own, cluster := uint64(c.etcd.Server.MemberID()), uint64(c.etcd.Server.Cluster().ID())
	for _, addr := range addrs {
		list, err := c.membersAt(ctx, addr)
		if err != nil || list.Header == nil || list.Header.ClusterId != cluster || len(list.Members) == 0 {
			continue
		}
		if !slices.ContainsFunc(list.Members, func(m *pb.Member) bool { return m.ID == own }) {
			c.gone.Store(true) // the goroutine of the leadership looks at every tick
		}
		return
	}
}

// membersAt asks one peer port for the members. The answer is one that a majority has confirmed.
func (c *Cluster) membersAt(ctx context.Context, addr string) (*clientv3.MemberListResponse, error) {
	client, err := dialVoters(c.quiet(), addr)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var list *clientv3.MemberListResponse
	err = c.once(ctx, func(ctx context.Context) (err error) {
		list, err = client.MemberList(ctx)
		return err
	})
	return list, err
}

// Forget removes what is left in dir of a membership that has ended. What still counts (Exists) is left alone.
func Forget(dir string) (err error) {
	lock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("remove what is left of a vote: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if Exists(dir) {
		return fmt.Errorf("%s holds a member of a cluster", dir)
	}
	return errors.Join(vfs.OS().RemoveAll(filepath.Join(dir, etcdDir)), vfs.OS().SyncDir(dir))
}

// Bar keeps a broker from being given a vote by itself, or lets it be again. It outlives restarts.
func (c *Cluster) Bar(ctx context.Context, id kafka.BrokerID, barred bool) error {
	return c.ask(ctx, func(ctx context.Context) error {
		if barred {
			_, err := c.client.Put(ctx, barKey(id), "")
			return err
		}
		_, err := c.client.Delete(ctx, barKey(id))
		return err
	})
}

// Barred are the brokers that Bar named.
func (c *Cluster) Barred(ctx context.Context) (map[kafka.BrokerID]bool, error) {
	barred := map[kafka.BrokerID]bool{}
	err := c.ask(ctx, func(ctx context.Context) error {
		resp, err := c.client.Get(ctx, keyBarred, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			id, err := parseID(string(kv.Key[len(keyBarred):]))
			if err != nil {
				return err
			}
			barred[id] = true
		}
		return nil
	})
	return barred, err
}
