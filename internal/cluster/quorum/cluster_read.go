package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/metadata"
)

// pageBatches is how many batches of the log one request reads.
const pageBatches = 500

// errGap: the watch does not continue what is known here, so everything is to be loaded anew.
var errGap = errors.New("the watch has left something out")

// read keeps the feed up to date until the store ends: load at one revision of etcd's, then watch from there.
func (c *Cluster) read() {
	const shortest, longest = 20 * time.Millisecond, time.Second
	wait := shortest
	for c.ctx.Err() == nil {
		ctx, cancel := context.WithCancel(c.ctx)
		c.mu.Lock()
		c.rewatch = cancel
		c.mu.Unlock()
		at, err := c.load(ctx)
		if err == nil {
			wait = shortest
			c.loaded()
			err = c.watchFrom(ctx, at+1)
		}
		cancel()
		if c.ctx.Err() != nil {
			return
		}
		if fatal(err) {
			c.finish(fmt.Errorf("read the metadata: %w", err))
			return
		}
		c.opts.Logger.Debug("metadata is loaded anew", "error", err)
		if c.pause(c.ctx, wait) != nil {
			return
		}
		wait = min(2*wait, longest)
	}
}

func (c *Cluster) loaded() {
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
}

// fatal reports whether trying again cannot help: what was read is damaged, or a newer Rafka wrote it (MET-3).
func fatal(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, metadata.ErrUnknownRecord) || errors.Is(err, metadata.ErrConflict) || errors.Is(err, metadata.ErrMalformed)
}

// load brings the feed to what etcd has at one revision of its own, which it returns. The first read asks a majority and all others are
// of the same revision, so they fit together.
func (c *Cluster) load(ctx context.Context) (int64, error) {
	resp, err := c.client.Txn(ctx).Then(clientv3.OpGet(keyHead), clientv3.OpGet(keyBase)).Commit()
	if err != nil {
		return 0, fmt.Errorf("read the head: %w", err)
	}
	at := resp.Header.Revision
	heads, bases := resp.Responses[0].GetResponseRange().Kvs, resp.Responses[1].GetResponseRange().Kvs
	var h head
	var pos position
	if len(heads) > 0 {
		if h, err = decodeHead(heads[0].Value); err != nil {
			return 0, err
		}
		pos = position{mod: heads[0].ModRevision, term: h.term, value: string(heads[0].Value)}
	}
	if len(bases) > 0 {
		if err := c.loadBase(ctx, bases[0], at); err != nil {
			return 0, err
		}
	}
	if err := c.loadLog(ctx, h, at); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.at = pos
	c.notifyLocked()
	c.mu.Unlock()
	return at, nil
}

// loadBase reads the snapshot, unless the feed is further already.
func (c *Cluster) loadBase(ctx context.Context, kv *mvccpb.KeyValue, at int64) error {
	s, err := decodeBase(kv.Value)
	if err != nil {
		return err
	}
	c.rebased(s, kv.ModRevision)
	c.mu.Lock()
	known := c.head > s.revision || c.head == s.revision && c.head > 0
	c.mu.Unlock()
	if known {
		return nil
	}
	var b []byte
	for n := range s.chunks {
		resp, err := c.client.Get(ctx, s.chunkKey(n), clientv3.WithRev(at))
		if err != nil {
			return fmt.Errorf("read a snapshot: %w", err)
		}
		if len(resp.Kvs) == 0 || len(b)+len(resp.Kvs[0].Value) > int(s.bytes) {
			return fmt.Errorf("piece %d of the snapshot of revision %d is missing or too long: %w", n, s.revision, ErrDamaged)
		}
		b = append(b, resp.Kvs[0].Value...)
	}
	f, err := parseKind(b, frameSnapshot)
	if err != nil {
		return fmt.Errorf("snapshot of revision %d: %w", s.revision, err)
	}
	snapshot, err := decodeSnapshot(f.payload)
	if err != nil {
		return fmt.Errorf("snapshot of revision %d: %w", s.revision, err)
	}
	img, _, err := snapshot.Image()
	if err != nil {
		return fmt.Errorf("snapshot of revision %d: %w", s.revision, err)
	}
	c.mu.Lock()
	c.resetLocked(img, s.revision)
	c.mu.Unlock()
	return nil
}

// loadLog takes the batches between what the feed has and the head.
func (c *Cluster) loadLog(ctx context.Context, h head, at int64) error {
	for {
		c.mu.Lock()
		next := c.head + 1
		c.mu.Unlock()
		if next > h.revision {
			return nil
		}
		resp, err := c.client.Get(ctx, logKey(next), clientv3.WithRange(keyLogEnd), clientv3.WithRev(at), clientv3.WithLimit(pageBatches))
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if len(resp.Kvs) == 0 || string(resp.Kvs[0].Key) != logKey(next) {
			return fmt.Errorf("revision %d is missing, the head is at %d: %w", next, h.revision, ErrDamaged)
		}
		for _, kv := range resp.Kvs {
			if err := c.take(kv); err != nil {
				return err
			}
		}
	}
}

// watchFrom takes what comes after a revision of etcd's.
func (c *Cluster) watchFrom(ctx context.Context, from int64) error {
	events := c.client.Watch(clientv3.WithRequireLeader(ctx), keyHead, clientv3.WithRange(keyWatchEnd), clientv3.WithRev(from), clientv3.WithFilterDelete())
	for resp := range events {
		if err := resp.Err(); err != nil {
			return fmt.Errorf("watch the log: %w", err)
		}
		if err := c.takeEvents(resp.Events); err != nil {
			return err
		}
	}
	return errors.New("the watch of the log has ended")
}

// takeEvents takes the events of one or several whole transactions.
func (c *Cluster) takeEvents(events []*clientv3.Event) error {
	var last head
	var pos position
	for _, e := range events {
		switch key := string(e.Kv.Key); {
		case strings.HasPrefix(key, keyLog):
			if err := c.take(e.Kv); err != nil {
				return err
			}
		case key == keyHead:
			h, err := decodeHead(e.Kv.Value)
			if err != nil {
				return err
			}
			last, pos = h, position{mod: e.Kv.ModRevision, term: h.term, value: string(e.Kv.Value)}
		case key == keyBase:
			s, err := decodeBase(e.Kv.Value)
			if err != nil {
				return err
			}
			c.rebased(s, e.Kv.ModRevision)
		}
	}
	if pos.mod == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head != last.revision || c.at.mod == 0 && c.head == 0 {
		return errGap // of an Import only the head is seen here
	}
	if pos.term != c.at.term {
		wake(c.poke)
	}
	c.at = pos
	c.notifyLocked()
	if c.overgrownLocked() {
		wake(c.shrink)
	}
	return nil
}

// take folds one batch into the feed, if it is the next one. The caller's goroutine is the only one that moves the feed.
func (c *Cluster) take(kv *mvccpb.KeyValue) error {
	rev, err := logRevision(string(kv.Key))
	if err != nil {
		return err
	}
	c.mu.Lock()
	img, at := c.image, c.head
	c.mu.Unlock()
	switch {
	case rev <= at:
		return nil
	case rev > at+1:
		return errGap
	}
	l, err := decodeLogged(kv.Value)
	if err != nil {
		return fmt.Errorf("batch %d: %w", rev, err)
	}
	if l.batch.Revision != rev {
		return fmt.Errorf("batch %d says that it is %d: %w", rev, l.batch.Revision, ErrDamaged)
	}
	next, _, err := metadata.Fold(img, l.batch.Records)
	if err != nil {
		return fmt.Errorf("batch %d: %w", rev, err)
	}
	c.mu.Lock()
	c.addLocked(l.batch, len(kv.Value), next)
	c.trimLocked()
	c.grown.bytes += int64(len(kv.Value))
	c.landedLocked(rev, l.nonce)
	c.notifyLocked()
	c.mu.Unlock()
	return nil
}

// rebased notes that the log continues another snapshot.
func (c *Cluster) rebased(s base, mod int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mod == c.grown.baseMod {
		return
	}
	c.grown = growth{base: s, baseMod: mod}
}

// overgrownLocked reports whether the leader should make a snapshot.
func (c *Cluster) overgrownLocked() bool {
	g := c.grown
	return (g.bytes >= c.opts.SnapshotBytes || int(c.head-g.base.revision) >= c.opts.SnapshotBatches) && g.bytes > g.base.bytes
}
