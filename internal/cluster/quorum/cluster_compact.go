package quorum

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/metadata"
)

// compactAll is the compactor's goroutine: where this node leads, it puts a snapshot in place of a log that has grown.
func (c *Cluster) compactAll() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.shrink:
		}
		if err := c.compact(); err != nil && c.ctx.Err() == nil {
			// The next commit wakes the compactor again, but not at once.
			c.opts.Logger.Warn("no snapshot of the metadata could be made", "error", err)
			if c.pause(c.ctx, time.Second) != nil {
				return
			}
		}
	}
}

// compact writes a snapshot, then in one transaction makes it the one that the log continues and deletes the log before it and the
// pieces of all others. Should another node do the same at the same time, only the first of the two transactions counts.
func (c *Cluster) compact() error {
	c.mu.Lock()
	due := c.leads.Here && c.overgrownLocked()
	img, rev, grown := c.image, c.head, c.grown
	c.mu.Unlock()
	if !due {
		return nil
	}
	s, err := c.writeChunks(c.ctx, metadata.SnapshotOf(img), rev)
	if err != nil {
		return err
	}
	var done bool
	err = c.once(c.ctx, func(ctx context.Context) error {
		resp, err := c.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(keyBase), "=", grown.baseMod)).
			Then(append(s.dropOthers(),
				clientv3.OpPut(keyBase, string(s.encode())),
				clientv3.OpDelete(keyLog, clientv3.WithRange(logKey(rev+1))))...).
			Commit()
		done = err == nil && resp.Succeeded
		return err
	})
	if err != nil || !done {
		return err // its pieces go with the next snapshot
	}
	// What etcd itself keeps of the past is for watches that are a little late: the time from the snapshot before.
	if grown.baseMod == 0 || c.external { // an etcd of others is compacted by them
		return nil
	}
	return c.once(c.ctx, func(ctx context.Context) error {
		_, err := c.client.Compact(ctx, grown.baseMod)
		if errors.Is(err, rpctypes.ErrCompacted) {
			return nil
		}
		return err
	})
}

// writeChunks writes the pieces of a snapshot. Nobody looks at them before keyBase names them.
func (c *Cluster) writeChunks(ctx context.Context, snapshot metadata.Snapshot, rev Revision) (base, error) {
	b := endFrame(appendSnapshot(beginFrame(nil), snapshot), 0, frameSnapshot, rev)
	if len(b) > maxPayload {
		return base{}, fmt.Errorf("a snapshot of %d bytes is more than the %d that are possible", len(b), maxPayload)
	}
	s := base{revision: rev, nonce: rand.Uint64(), chunks: (len(b) + chunkBytes - 1) / chunkBytes, bytes: int64(len(b))}
	for n := range s.chunks {
		piece := b[n*chunkBytes : min((n+1)*chunkBytes, len(b))]
		err := c.ask(ctx, func(ctx context.Context) error {
			_, err := c.client.Put(ctx, s.chunkKey(n), string(piece))
			return err
		})
		if err != nil {
			return base{}, fmt.Errorf("write piece %d of %d of a snapshot: %w", n+1, s.chunks, err)
		}
	}
	return s, nil
}

// dropOthers deletes the pieces of all other snapshots, also of those that were not finished.
func (s base) dropOthers() []clientv3.Op {
	return []clientv3.Op{
		clientv3.OpDelete(keyChunks, clientv3.WithRange(s.prefix())),
		clientv3.OpDelete(end(s.prefix()), clientv3.WithRange(end(keyChunks))),
	}
}
