package quorum

import (
	"context"
	"runtime"

	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/metadata"
)

// Waiting is the number of commits that are queued behind the one being written.
func (l *Local) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// Kill ends a Cluster as a crash of its process would look to the others: no leadership is handed over.
func (c *Cluster) Kill() error { return c.close(false) }

// Cut keeps raft's messages from flowing between this member and others, from this side; Mend lets them flow again.
func (c *Cluster) Cut(others ...*Cluster) {
	for _, o := range others {
		c.etcd.Server.CutPeer(types.ID(o.etcd.Server.MemberID()))
	}
}

func (c *Cluster) Mend(others ...*Cluster) {
	for _, o := range others {
		c.etcd.Server.MendPeer(types.ID(o.etcd.Server.MemberID()))
	}
}

// Grown is the size of the log behind the last snapshot, and the revision of that.
func (c *Cluster) Grown() (int64, Revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grown.bytes, c.grown.base.revision
}

// Keys counts the keys of the log.
func (c *Cluster) Keys(ctx context.Context) (int, error) {
	resp, err := c.client.Get(ctx, keyLog, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return int(resp.Count), nil
}

// Compacted is about the oldest of etcd's revisions that can still be read.
func (c *Cluster) Compacted(context.Context) (int64, error) {
	return c.etcd.Server.KV().FirstRev(), nil
}

// ForgetTerm commits in an older term, as a node would that takes itself for the leader of that.
func (c *Cluster) ForgetTerm(ctx context.Context, term Term) error {
	c.mu.Lock()
	c.leads.Term = term
	p := &proposal{term: term, records: []metadata.Record{&metadata.ProducerIDsRecord{Next: 1}}, done: make(chan answer, 1)}
	p.encoded = metadata.AppendRecords(nil, p.records)
	c.waiting = append(c.waiting, p)
	c.mu.Unlock()
	wake(c.commit)
	select {
	case a := <-p.done:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// GiveUp stops waiting for etcd's answer to the transaction that writes r, as when the connection is lost: before or while it is committed.
func (c *Cluster) GiveUp(r Revision) {
	for {
		c.mu.Lock()
		f, head := c.flight, c.head
		c.mu.Unlock()
		if f != nil && f.base+1 == r {
			f.cancel()
			return
		}
		if head >= r {
			return
		}
		runtime.Gosched()
	}
}
