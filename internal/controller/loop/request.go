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
	limit  int // bytes of its records
	taken  atomic.Bool
	done   chan error // buffered; answered once
}

// refuse answers a request that nobody has taken.
func (r *request) refuse(err error) {
	if !r.taken.Swap(true) {
		r.done <- err
	}
}

// submit has a decision made and returns when its records are in this node's image with every publisher told. When it returns an
// error the decision may still be running, and its results must not be looked at. Errors with isVoid: nothing has happened.
func (l *Loop) submit(ctx context.Context, decide decision) error {
	return explain(l.enqueue(ctx, &request{decide: decide, limit: maxGroupBytes, done: make(chan error, 1)}))
}

// submitLarge is submit for what this node decides by itself, which cannot be split.
func (l *Loop) submitLarge(decide decision) error {
	return explain(l.enqueue(l.ctx, &request{decide: decide, limit: quorum.MaxBatchBytes, done: make(chan error, 1)}))
}

func (l *Loop) enqueue(ctx context.Context, r *request) error {
	l.mu.Lock()
	running, decides, resigned := l.running, l.opts.Peers == nil || l.reign.decides, l.reign.resigned
	l.mu.Unlock()
	if !running {
		return errClosed
	}
	if !decides {
		return errElsewhere
	}
	select {
	case l.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-resigned:
		return errElsewhere
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
	for {
		select {
		case err := <-r.done:
			return err
		case <-resigned:
			r.refuse(errElsewhere)
			resigned = nil // taken: then its outcome is awaited
			continue
		case <-ctx.Done():
			r.taken.Swap(true) // not begun: then it never happens
		case <-l.ctx.Done():
		}
		break
	}
	select {
	case err := <-r.done: // both at once: the answer counts
		return err
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(l.ctx)
}

// decide is the deciding goroutine.
func (l *Loop) decide() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.turn:
			l.takeOver()
		case first := <-l.queue:
			l.decideWith(first)
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

// decideWith decides first and everything that waits behind it, as one commit.
func (l *Loop) decideWith(first *request) {
	term := l.opts.Store.Leadership().Term // of the decisions below; if it is over when they are committed, they are void (LOP-3)
	l.mu.Lock()
	head := l.revision
	decides := l.opts.Peers == nil || l.reign.decides && l.reign.term == term
	l.mu.Unlock()
	if !decides {
		first.refuse(errElsewhere)
		return
	}
	// While this node leads, nobody but this goroutine commits, and it waits for the image each time, so the image is that of head. If
	// somebody else has taken over, it may be a newer one, and the guard refuses the commit.
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
	if len(g.requests) == 0 {
		return
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
		if len(g.scratch) > r.limit {
			r.done <- quorum.ErrTooLarge
			return
		}
		if g.bytes+len(g.scratch) > quorum.MaxBatchBytes {
			r.done <- errElsewhere // alone, the next time
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
