package loop

import (
	"context"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/metadata"
)

// decision is the pure part of a request: from the image, the records.
type decision func(*metadata.Image) []metadata.Record

// request is a decision on its way. Whoever takes it first, the deciding goroutine or a caller that gives up, has it.
type request struct {
	decide decision
	taken  atomic.Bool
	done   chan error // buffered; answered once
}

// submit has a decision made and returns when its records are in this node's image with every publisher told. When it returns an
// error the decision may still be running, and its results must not be looked at.
func (l *Loop) submit(ctx context.Context, decide decision) error {
	l.mu.Lock()
	running := l.running
	l.mu.Unlock()
	if !running {
		return explain(errClosed)
	}
	r := &request{decide: decide, done: make(chan error, 1)}
	select {
	case l.queue <- r:
	case <-ctx.Done():
		return explain(ctx.Err())
	case <-l.ctx.Done():
		return explain(context.Cause(l.ctx))
	}
	select {
	case err := <-r.done:
		return explain(err)
	case <-ctx.Done():
		r.taken.Swap(true) // not begun: then it never happens
	case <-l.ctx.Done():
	}
	select {
	case err := <-r.done: // both at once: the answer counts
		return explain(err)
	default:
	}
	if err := ctx.Err(); err != nil {
		return explain(err)
	}
	return explain(context.Cause(l.ctx))
}

// decide is the deciding goroutine.
func (l *Loop) decide() error {
	for {
		select {
		case <-l.ctx.Done():
			return nil
		case first := <-l.queue:
			l.run(first)
		}
	}
}

// group is requests that are committed together.
type group struct {
	requests []*request
	records  []metadata.Record
	image    *metadata.Image // with records folded in
	scratch  []byte
	bytes    int
}

// run decides first and everything that waits behind it, as one commit.
func (l *Loop) run(first *request) {
	term := l.opts.Store.Leadership().Term // of the decisions below; if it is over when they are committed, they are void (LOP-3)
	l.mu.Lock()
	head := l.revision
	l.mu.Unlock()
	// Nobody but this goroutine commits, and it waits for the image each time, so the image is that of head.
	g := &group{image: l.Image()}
	g.add(first)
	for more := true; more && g.bytes < maxGroupBytes && len(g.requests) < maxQueued; {
		select {
		case r := <-l.queue:
			g.add(r)
		default:
			more = false
		}
	}
	err := l.commit(term, head, g.records)
	for _, r := range g.requests {
		r.done <- err
	}
}

func (g *group) add(r *request) {
	if r.taken.Swap(true) {
		return
	}
	records := r.decide(g.image)
	if len(records) > 0 {
		g.scratch = metadata.AppendRecords(g.scratch[:0], records)
		if len(g.scratch) > maxGroupBytes {
			r.done <- quorum.ErrTooLarge
			return
		}
		next, _, err := metadata.Fold(g.image, records)
		if err != nil {
			r.done <- err
			return
		}
		g.image, g.records, g.bytes = next, append(g.records, records...), g.bytes+len(g.scratch)
	}
	g.requests = append(g.requests, r)
}

// commit stores the records of a group and waits for them. Also those requests of it that made no records wait, because they were
// decided on what the others changed.
func (l *Loop) commit(term quorum.Term, head quorum.Revision, records []metadata.Record) error {
	if len(records) == 0 {
		return nil
	}
	guard := []quorum.Guard{{Head: head}}
	revision, err := l.opts.Store.Commit(l.ctx, term, guard, records)
	if err != nil {
		if cause := context.Cause(l.ctx); cause != nil {
			return cause
		}
		return err
	}
	return l.await(revision)
}
