package quorum

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/metadata"
)

// Import makes s, the metadata at revision r of another store, the beginning of this one, whose first commit is then r + 1. The
// directory counts (Exists) when it returns nil, and does not when it returns an error, unless that is ErrFailed: then nobody can say,
// and neither store may be written to before a restart has looked. Errors: ErrNotEmpty.
func (c *Cluster) Import(ctx context.Context, s metadata.Snapshot, r Revision) error {
	if err := c.importSnapshot(ctx, s, r); err != nil {
		return fmt.Errorf("import the metadata of revision %d: %w", r, err)
	}
	return nil
}

func (c *Cluster) importSnapshot(ctx context.Context, s metadata.Snapshot, r Revision) error {
	if err := c.Ready(ctx); err != nil {
		return err
	}
	b, err := c.writeChunks(ctx, s, r)
	if err != nil {
		return err
	}
	h := head{revision: r, offset: s.Offset, node: c.opts.Node}
	err = c.ask(ctx, func(ctx context.Context) error {
		resp, err := c.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(keyHead), "=", 0)).
			Then(append(b.dropOthers(), clientv3.OpPut(keyBase, string(b.encode())), clientv3.OpPut(keyHead, string(h.encode())))...).
			Else(clientv3.OpGet(keyBase)).
			Commit()
		if err != nil || resp.Succeeded {
			return err
		}
		// An earlier try may have been committed without its answer reaching us; the nonce tells.
		if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
			if found, err := decodeBase(kvs[0].Value); err != nil || found == b {
				return err
			}
		}
		return ErrNotEmpty
	})
	if err != nil {
		return err
	}
	if err := c.until(ctx, func() bool { return c.at.mod > 0 && c.head >= r }); err != nil {
		return err
	}
	return c.makeCount()
}

// requireImported keeps others from building on a directory that does not count yet.
func (c *Cluster) requireImported(ctx context.Context) error {
	if err := c.Ready(ctx); err != nil {
		return err
	}
	if !c.imported() {
		return ErrNothingImported
	}
	return nil
}

// imported reports whether what is in etcd counts, which it always does for a client.
func (c *Cluster) imported() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts || c.etcd == nil
}
