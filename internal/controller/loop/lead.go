package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// claimPatience bounds one attempt at taking over.
const claimPatience = 2 * time.Second

// reign is what this node knows of who decides. Guarded by Loop.mu.
type reign struct {
	lead     quorum.Leadership // as the store told last
	decides  bool              // this node has claimed the term and decides
	term     quorum.Term       // in which it does, or last did
	resigned chan struct{}     // closed when decides ends; nil before the first time
	changed  chan struct{}     // closed and replaced when it may have changed who decides
}

// led is told by the store who leads.
func (l *Loop) led(now quorum.Leadership) {
	l.mu.Lock()
	l.reign.lead = now
	term, over := l.reign.term, l.reign.decides && !(now.Here && now.Term == l.reign.term)
	if over {
		l.resignLocked()
	}
	l.changedLocked()
	l.mu.Unlock()
	l.turned()
	if over {
		l.opts.Logger.Info("this node decides no more", "node", l.opts.Node, "term", term)
	}
}

// turned has the deciding goroutine look at the leadership.
func (l *Loop) turned() {
	select {
	case l.turn <- struct{}{}:
	default:
	}
}

// resignLocked ends the time in which this node decides: requests that wait are refused, so that their callers ask whoever decides now.
func (l *Loop) resignLocked() {
	l.reign.decides = false
	close(l.reign.resigned)
}

// changedLocked wakes everybody who waits to ask again.
func (l *Loop) changedLocked() {
	close(l.reign.changed)
	l.reign.changed = make(chan struct{})
}

// changed is closed when it may have changed who decides since the call.
func (l *Loop) changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reign.changed
}

// decides reports whether this node decides, and in which term.
func (l *Loop) decides() (quorum.Term, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reign.term, l.reign.decides
}

// decider is the broker to ask, not this one; NoBroker: none is known. The store and the image may name different ones while the
// controller changes, so attempts alternate.
func (l *Loop) decider(try int) kafka.BrokerID {
	l.mu.Lock()
	told := l.reign.lead.Controller
	l.mu.Unlock()
	claimed := l.Image().Controller
	if try%2 == 1 {
		told, claimed = claimed, told
	}
	for _, id := range []kafka.BrokerID{told, claimed} {
		if id >= 0 && id != l.opts.Node {
			return id
		}
	}
	return kafka.NoBroker
}

// takeOver claims the term if this node leads, as often as it takes while it does. The deciding goroutine calls it.
func (l *Loop) takeOver() {
	for try := 0; ; try++ {
		l.mu.Lock()
		lead, decides, changed := l.reign.lead, l.reign.decides, l.reign.changed
		l.mu.Unlock()
		if !lead.Here || decides || l.ctx.Err() != nil {
			return
		}
		since := l.opts.Now()
		err := l.claim(lead.Term)
		if err == nil {
			l.begin(lead.Term, since)
			continue // to see whether it still leads
		}
		if !isVoid(err) {
			l.opts.Logger.Warn("this node was elected to decide and cannot begin; it tries again", "term", lead.Term, "err", err)
		}
		_ = sleep(l.ctx, backOff(try), changed)
	}
}

// claim makes sure that this node knows everything that was committed before the term, and says durably that it decides now.
func (l *Loop) claim(term quorum.Term) error {
	ctx, cancel := context.WithTimeout(l.ctx, claimPatience)
	defer cancel()
	head, err := l.opts.Store.Commit(ctx, term, nil, nil)
	if err != nil {
		return err
	}
	if err := l.await(ctx, head); err != nil {
		return fmt.Errorf("wait for revision %d: %w", head, err)
	}
	records := controller.Claim(l.Image(), l.opts.Node)
	revision, err := l.opts.Store.Commit(ctx, term, []quorum.Guard{{Head: head}}, records)
	if err != nil {
		return err
	}
	return l.await(ctx, revision)
}

// begin starts to decide in a term that was claimed after since, unless it is over by now.
func (l *Loop) begin(term quorum.Term, since time.Time) {
	// Nobody else decides yet, and this node neither, so nothing looks at the leases.
	now := l.opts.Now()
	l.leases.begin(since, now, l.Image())
	l.keeper.began(now, l.opts.Lease)
	l.mu.Lock()
	if !l.reign.lead.Here || l.reign.lead.Term != term {
		l.mu.Unlock()
		return
	}
	l.reign.decides, l.reign.term, l.reign.resigned = true, term, make(chan struct{})
	l.changedLocked()
	l.mu.Unlock()
	l.opts.Logger.Info("this node decides now", "node", l.opts.Node, "term", term)
	l.probeAll()
}

// depose ends a term that the store says is over before it has told who leads now.
func (l *Loop) depose(term quorum.Term) {
	l.mu.Lock()
	over := l.reign.decides && l.reign.term == term
	if over {
		l.resignLocked()
		l.changedLocked()
	}
	l.mu.Unlock()
	l.turned()
	if over {
		l.opts.Logger.Info("this node decides no more; the store says that another one does", "node", l.opts.Node, "term", term)
	}
}

// commit stores the records of a group and waits for them. Also those requests of it that made no records wait, because they were
// decided on what the others changed.
func (l *Loop) commit(term quorum.Term, head quorum.Revision, records []metadata.Record) error {
	if len(records) == 0 && l.opts.Peers == nil {
		return nil
	}
	// Without records it is asked nevertheless: what was read from the image of a controller that was deposed is no answer.
	revision, err := l.opts.Store.Commit(l.ctx, term, []quorum.Guard{{Head: head}}, records)
	if err == nil {
		return l.await(l.ctx, revision)
	}
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	switch {
	case l.opts.Peers == nil:
	case errors.Is(err, quorum.ErrStaleTerm):
		l.depose(term)
	case len(records) == 0:
		return fmt.Errorf("%w: %w", errElsewhere, err)
	case !isDefinite(err):
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	return err
}
