package quorum

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/metadata"
)

// maxGroup is how many commits share a transaction at most.
const maxGroup = 256

// proposal is one Commit on its way. Its answer comes over done; taken is guarded by feed.mu, the rest is the committer's once it is
// taken.
type proposal struct {
	term    Term
	guards  []Guard
	records []metadata.Record
	encoded []byte
	taken   bool // the committer has it: it may be written although its caller has left
	done    chan answer
}

type answer struct {
	revision Revision
	err      error
}

// flight is the transaction that is being written. The batch that follows base tells what became of it: only one transaction can have
// compared the head of that revision.
type flight struct {
	base    Revision
	nonce   uint64
	outcome outcome
	cancel  context.CancelFunc // gives up waiting for etcd's answer
}

type outcome int

const (
	unknown outcome = iota
	won             // it is in the log
	lost            // another one is there instead, so it never will be
)

// landedLocked notes what a batch of the log tells of the transaction under way.
func (c *Cluster) landedLocked(r Revision, nonce uint64) {
	if f := c.flight; f != nil && f.base+1 == r {
		f.outcome = lost
		if f.nonce == nonce {
			f.outcome = won
		}
	}
}

// Follow implements Store.
func (c *Cluster) Follow(ctx context.Context, after Revision, fn func(Batch) error) error {
	if err := c.Ready(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return c.feed.Follow(ctx, after, fn)
}

// Commit implements Store. Only the node that leads commits. Commits that wait at the same time share a transaction, which compares and
// moves the head: so it fails if anything was committed since, by whomever, and a new leader's first commit makes those of older terms
// fail (QUO-3). What etcd gave no answer to is looked up; ErrOutcomeUnknown only if that does not tell in time.
func (c *Cluster) Commit(ctx context.Context, term Term, guards []Guard, records []metadata.Record) (Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	p := &proposal{term: term, guards: guards, records: records, done: make(chan answer, 1)}
	p.encoded = metadata.AppendRecords(nil, records)
	if len(p.encoded) > MaxBatchBytes {
		return 0, fmt.Errorf("%d bytes, at most %d: %w", len(p.encoded), MaxBatchBytes, ErrTooLarge)
	}
	c.mu.Lock()
	if err := c.refusalLocked(p); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	if len(records) == 0 {
		c.mu.Unlock()
		return c.stillDecides(ctx, p)
	}
	c.waiting = append(c.waiting, p)
	c.mu.Unlock()
	wake(c.commit)
	select {
	case a := <-p.done:
		if a.err == nil {
			a.err = c.awaitFollowers(ctx, a.revision)
		}
		if a.err != nil {
			return 0, a.err
		}
		return a.revision, nil
	case <-ctx.Done():
		c.mu.Lock()
		if !p.taken {
			c.waiting = slices.DeleteFunc(c.waiting, func(w *proposal) bool { return w == p })
		}
		c.mu.Unlock()
		return 0, ctx.Err()
	}
}

// stillDecides is a commit of nothing. That it succeeds proves that nobody of a later term had committed anything when it was called: a majority was
// asked since. The controller prolongs leases and answers questions on it.
func (c *Cluster) stillDecides(ctx context.Context, p *proposal) (Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*c.opts.election())
	defer cancel()
	h, err := c.lastHead(ctx)
	if err != nil {
		return 0, err
	}
	if h.term > p.term {
		return 0, fmt.Errorf("term %d, it is %d: %w", p.term, h.term, ErrStaleTerm)
	}
	for _, g := range p.guards {
		if g.Head != h.revision {
			return 0, fmt.Errorf("decided at revision %d, it is %d: %w", g.Head, h.revision, ErrGuard)
		}
	}
	c.mu.Lock()
	err = c.refusalLocked(p)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return h.revision, c.awaitFollowers(ctx, h.revision)
}

// refusalLocked says why a proposal cannot be written by this node now.
func (c *Cluster) refusalLocked(p *proposal) error {
	switch {
	case c.ended != nil:
		return c.ended
	case !c.leads.Here:
		return fmt.Errorf("term %d, this node does not lead: %w", p.term, ErrStaleTerm)
	case p.term != c.leads.Term || p.term < c.at.term:
		return fmt.Errorf("term %d, it is %d: %w", p.term, max(c.leads.Term, c.at.term), ErrStaleTerm)
	}
	return nil
}

// commitAll is the committer's goroutine.
func (c *Cluster) commitAll() {
	for {
		select {
		case <-c.ctx.Done():
			c.refuseWaiting()
			return
		case <-c.commit:
		}
		for {
			group := c.nextGroup()
			if group == nil {
				break
			}
			c.write(group)
		}
	}
}

func (c *Cluster) refuseWaiting() {
	c.mu.Lock()
	list := c.waiting
	c.waiting = nil
	err := c.ended
	c.mu.Unlock()
	for _, p := range list {
		p.done <- answer{err: err}
	}
}

// group is what one transaction writes.
type group struct {
	list   []*proposal
	base   Revision // its first batch is base + 1
	at     position
	offset metadata.Offset // of the image after it
	term   Term
}

// nextGroup takes what waits and fits together, each checked against the image with all before it folded in, and answers what cannot
// be written. nil: nothing waits.
func (c *Cluster) nextGroup() *group {
	for {
		c.mu.Lock()
		img := c.image
		g := &group{base: c.head, at: c.at}
		var list []*proposal
		refused := map[*proposal]error{}
		most, mostBytes := c.groupLimits()
		for bytes := 0; len(c.waiting) > 0 && len(list) < most; {
			p := c.waiting[0]
			if len(list) > 0 && bytes+len(p.encoded) > mostBytes {
				break
			}
			c.waiting = c.waiting[1:]
			p.taken = true
			if err := c.refusalLocked(p); err != nil {
				refused[p] = err
				continue
			}
			bytes += len(p.encoded)
			list = append(list, p)
		}
		if len(c.waiting) == 0 {
			c.waiting = nil
		}
		c.mu.Unlock()
		for p, err := range refused {
			p.done <- answer{err: err}
		}
		if len(list) == 0 {
			if len(refused) > 0 {
				continue
			}
			return nil
		}
		for _, p := range list {
			next, err := p.check(img, g.base+Revision(len(g.list)))
			if err != nil {
				p.done <- answer{err: err}
				continue
			}
			img, g.term = next, p.term
			g.list = append(g.list, p)
		}
		g.offset = img.Offset
		if len(g.list) > 0 {
			return g
		}
	}
}

// check folds the proposal onto the image of a revision.
func (p *proposal) check(img *metadata.Image, head Revision) (*metadata.Image, error) {
	for _, g := range p.guards {
		if g.Head != head {
			return nil, fmt.Errorf("decided at revision %d, it is %d: %w", g.Head, head, ErrGuard)
		}
	}
	next, _, err := metadata.Fold(img, p.records)
	return next, err
}

// write writes a group and answers it, or puts it back in line when it certainly was not written and may still be.
func (c *Cluster) write(g *group) {
	if err := c.makeCount(); err != nil {
		g.answer(err)
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	f := &flight{base: g.base, nonce: rand.Uint64(), cancel: cancel}
	c.mu.Lock()
	c.flight = f
	c.mu.Unlock()
	resp, err := c.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(keyHead), "=", g.at.mod)).
		Then(g.ops(f.nonce, c.opts)...).
		Else(clientv3.OpGet(keyHead)).
		Commit()
	what := unknown
	switch {
	case err == nil && resp.Succeeded:
		what = won
		err = c.until(c.ctx, func() bool { return c.head >= g.base+Revision(len(g.list)) })
	case err == nil:
		what = lost
		mod := resp.Responses[0].GetResponseRange().Kvs[0].ModRevision
		err = c.until(c.ctx, func() bool { return c.at.mod >= mod })
	case errors.Is(err, rpctypes.ErrNoSpace), errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyRequests), errors.Is(err, rpctypes.ErrTooManyOps):
		err = fmt.Errorf("etcd refused the batch: %w", err)
		if c.external {
			err = fmt.Errorf("%w; start it with --max-request-bytes %d --max-txn-ops %d --quota-backend-bytes %d", err, maxRequest, maxOps, int64(backendQuota))
		}
		what = lost
	default:
		what, err = c.lookUp(f, g, err)
	}
	c.mu.Lock()
	c.flight = nil
	c.mu.Unlock()
	if what == lost && err == nil {
		c.putBack(g.list)
		return
	}
	g.answer(err)
}

// lookUp finds out what became of a transaction that etcd gave no answer to. That the head is still where it was proves nothing, for the
// transaction may be on its way. So the head is written once more as it is: then either that transaction came first, and its batches are
// in the log, or it never can.
func (c *Cluster) lookUp(f *flight, g *group, cause error) (outcome, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.tryTimeout())
	defer cancel()
	void, err := c.fence(ctx, g)
	if void {
		return lost, nil
	}
	var what outcome
	if err == nil {
		err = c.until(ctx, func() bool {
			what = f.outcome
			return what == lost || what == won && c.head >= g.base+Revision(len(g.list))
		})
	}
	if err != nil {
		return unknown, fmt.Errorf("%w: %w", cause, ErrOutcomeUnknown)
	}
	return what, nil
}

// fence makes a transaction that compares the head as the group knows it fail from now on. void is true if none has succeeded.
func (c *Cluster) fence(ctx context.Context, g *group) (void bool, err error) {
	if g.at.mod == 0 {
		return false, nil // there is no head to write as it is
	}
	err = c.ask(ctx, func(ctx context.Context) error {
		resp, err := c.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(keyHead), "=", g.at.mod)).
			Then(clientv3.OpPut(keyHead, g.at.value)).
			Else(clientv3.OpGet(keyHead)).
			Commit()
		if err != nil {
			return err
		}
		if void = resp.Succeeded; void {
			return nil
		}
		// Moved by a commit, or by an earlier try of this.
		h, err := decodeHead(resp.Responses[0].GetResponseRange().Kvs[0].Value)
		void = err == nil && h.revision == g.base
		return err
	})
	return void, err
}

func (c *Cluster) putBack(list []*proposal) {
	c.mu.Lock()
	c.waiting = append(list, c.waiting...)
	c.mu.Unlock()
	wake(c.commit)
}

func (g *group) answer(err error) {
	for i, p := range g.list {
		if err != nil {
			p.done <- answer{err: err}
			continue
		}
		p.done <- answer{revision: g.base + Revision(i) + 1}
	}
}

func (g *group) ops(nonce uint64, o ClusterOptions) []clientv3.Op {
	ops := make([]clientv3.Op, 0, len(g.list)+1)
	for i, p := range g.list {
		r := g.base + Revision(i) + 1
		ops = append(ops, clientv3.OpPut(logKey(r), string(encodeLogged(r, g.term, nonce, p.encoded))))
	}
	h := head{revision: g.base + Revision(len(g.list)), offset: g.offset, term: g.term, node: o.Node}
	return append(ops, clientv3.OpPut(keyHead, string(h.encode())))
}

// makeCount makes the directory count before anything that is acknowledged is in it.
func (c *Cluster) makeCount() error {
	if c.imported() {
		return nil
	}
	if err := writeMarker(c.opts.Dir, c.marker); err != nil {
		return err
	}
	c.mu.Lock()
	c.counts = true
	c.mu.Unlock()
	return nil
}
