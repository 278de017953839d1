package loop

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxRounds bounds the decisions in a row about one broker, each of which changes thousands of partitions.
const maxRounds = 16

// keeper is what goes on beside requests while this node decides.
type keeper struct {
	wakeup     chan struct{}
	acting     atomic.Bool // a goroutine acts on what the keeper saw
	confirming atomic.Bool // a goroutine asks the store whether this node still decides
	confirmed  time.Time   // when that began last; only keep's

	mu      sync.Mutex      // guards what follows; a leaf
	upkept  time.Time       // when the last upkeep was
	quiet   metadata.Offset // the image that upkeep had nothing to do in; -1: none
	moved   bool            // a broker came or went since
	shaken  [2]time.Time    // when brokers or partitions came or went: the first of a row without a pause of evenAfter, and the last
	parts   int             // partitions of the cluster then
	stirred time.Time       // when leaders or replicas were seen to move last
	stuck   []string        // what the last upkeep could not do, which is said already
	said    []Decision      // the last mostDecisions, the oldest first
}

func (k *keeper) init() { k.wakeup, k.quiet = make(chan struct{}, 1), -1 }

// wake has the keeper look now.
func (k *keeper) wake() {
	select {
	case k.wakeup <- struct{}{}:
	default:
	}
}

// cameOrWent has the keeper look now, and think about upkeep.
func (k *keeper) cameOrWent() {
	k.mu.Lock()
	k.moved = true
	k.mu.Unlock()
	k.wake()
}

// keep looks after brokers until the loop ends. It looks twice as often as heartbeats come, for how late it sees the end of a lease is time in which
// nobody writes.
func (l *Loop) keep() {
	tick := time.NewTicker(l.opts.HeartbeatInterval / 2)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		case <-l.keeper.wakeup:
		}
		if term, ok := l.decides(); ok {
			l.lookAfter(term)
		}
	}
}

// lookAfter sees what there is to do and never waits for it.
func (l *Loop) lookAfter(term quorum.Term) {
	now, img := l.opts.Now(), l.Image()
	if l.leases.stalled(now, l.opts.Lease/2) {
		l.opts.Logger.Warn("this process stood still; all brokers get a fresh lease", "node", l.opts.Node)
	}
	if now.Sub(l.keeper.confirmed) > l.opts.HeartbeatInterval*3/4 && !l.keeper.confirming.Swap(true) {
		l.keeper.confirmed = now
		if !l.spawn(func() { l.confirm(term) }) {
			l.keeper.confirming.Store(false)
		}
	}
	fence, unfence := l.leases.due(now, img, l.opts.Lease)
	if len(fence)+len(unfence) == 0 && !l.upkeepDue(now, img) {
		return
	}
	if !l.keeper.acting.Swap(true) && !l.spawn(func() { l.act(len(fence) > 0, len(unfence) > 0) }) {
		l.keeper.acting.Store(false)
	}
}

// confirm asks the store whether this node still decides.
func (l *Loop) confirm(term quorum.Term) {
	defer l.keeper.confirming.Store(false)
	ctx, cancel := context.WithTimeout(l.ctx, l.opts.Lease)
	defer cancel()
	began := l.opts.Now()
	_, err := l.opts.Store.Commit(ctx, term, nil, nil)
	switch {
	case err == nil:
		if now, ok := l.decides(); ok && now == term {
			l.leases.confirm(began)
		}
	case errors.Is(err, quorum.ErrStaleTerm):
		l.depose(term)
	}
}

// act does what the keeper saw: first what clients wait for.
func (l *Loop) act(fence, unfence bool) {
	more := fence && l.settleBrokers(true) || unfence && l.settleBrokers(false)
	if !more {
		l.upkeep()
	}
	l.keeper.acting.Store(false)
	if more {
		l.keeper.wake()
	}
}

// settleBrokers fences all brokers that are due, or unfences them, in one commit. They are looked up at the moment of the decision, because a
// heartbeat may have come. Where one decision leaves something to do, it goes on. It reports whether it did something.
func (l *Loop) settleBrokers(fence bool) bool {
	decide := controller.UnfenceBroker
	if fence {
		decide = controller.FenceBroker
	}
	var ids []kafka.BrokerID
	for round := range maxRounds {
		made := false
		err := l.submitLarge(func(img *metadata.Image) (all []metadata.Record) {
			if round == 0 {
				gone, back := l.leases.due(l.opts.Now(), img, l.opts.Lease)
				if ids = back; fence {
					ids = gone
				}
			}
			for _, id := range ids {
				records := decide(&l.opts.Env, img, id)
				next, _, err := metadata.Fold(img, records)
				if err != nil {
					l.opts.Logger.Error("a broker can be neither fenced nor unfenced", "broker", id, "err", err)
					continue
				}
				img, all = next, append(all, records...)
			}
			made = len(all) > 0
			return all
		})
		if err != nil {
			if !isVoid(err) && l.ctx.Err() == nil {
				l.opts.Logger.Warn("brokers could be neither fenced nor unfenced; it is tried again", "err", err)
			}
			return false
		}
		if fence {
			l.leases.fenced(ids, l.at())
		}
		if !made {
			return round > 0
		}
		if round == 0 {
			l.say(fence, ids)
		}
	}
	return true // upkeep does the rest
}

func (l *Loop) say(fence bool, ids []kafka.BrokerID) {
	for _, id := range ids {
		if fence {
			reason, silent := l.leases.why(id, l.opts.Now())
			l.opts.Logger.Warn("a broker is fenced, others take over", "broker", id, "because", reason, "silent", silent)
			continue
		}
		l.opts.Logger.Info("a broker serves", "broker", id)
	}
}
