package loop

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// loadsEvery is how often a broker tells the controller what the partitions that it leads have to do.
	loadsEvery = 5 * time.Second
	// loadsLook is how often the controller thinks about upkeep although nothing but the load may have changed.
	loadsLook = 10 * time.Second
	// loadsStale is after what time such a report says nothing any more. While some broker's is missing nothing is done for the sake of load.
	loadsStale = 4 * loadsEvery
	// loadsSettle is how long after partitions have changed their leaders, or while replicas move, nothing is done for the sake of load: what the new ones have
	// to do must be known first, or too much would move.
	loadsSettle = 30 * time.Second
	// mostLoads is of how many partitions a report may be; of the others nothing is known.
	mostLoads = 1000
	// mostDecisions is how many of its last decisions the controller remembers.
	mostDecisions = 256
)

// Decision is something that the controller has done by itself, in plain words.
type Decision struct {
	At   time.Time
	Text string
}

// Explanation is what the controller did by itself lately, and what it would do next.
type Explanation struct {
	Past []Decision // the oldest first; they end with the controller's process or its term
	Next []string
}

// loadsDue is what this node leads and has to do, if it is time to tell; nil: it is not.
func (l *Loop) loadsDue(now time.Time) *[]controller.Load {
	if l.opts.Loads == nil {
		return nil
	}
	at, last := int64(now.Sub(l.self.base)), l.self.reported.Load()
	if last != 0 && time.Duration(at-last) < loadsEvery || !l.self.reported.CompareAndSwap(last, max(at, 1)) {
		return nil
	}
	loads := l.opts.Loads()
	if loads == nil {
		loads = []controller.Load{}
	}
	loads = loads[:min(len(loads), mostLoads)]
	return &loads
}

// report notes what a broker said of its load.
func (s *leases) report(b *metadata.Broker, loads *[]controller.Load, now time.Time, img *metadata.Image) {
	if loads == nil || len(*loads) > mostLoads {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.getLocked(b, now, img)
	e.loads, e.reported = *loads, now
}

// loads are those of all partitions, as their leaders told; nil: one who serves has not told lately.
func (s *leases) loads(now time.Time, img *metadata.Image) (all []controller.Load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, b := range img.Brokers {
		if b.Fenced {
			continue
		}
		e := s.of[id]
		if e == nil || e.epoch != b.Epoch || e.reported.IsZero() || now.Sub(e.reported) > loadsStale {
			return nil
		}
		for _, load := range e.loads {
			// Whoever leads now speaks for a partition, so that one that has just moved does not count twice.
			if t := img.Topics.ByID(load.Topic); t != nil && load.Partition >= 0 && int(load.Partition) < len(t.Partitions) && t.Partitions[load.Partition].Leader == id {
				all = append(all, load)
			}
		}
	}
	return all
}

// envWithLoads is what upkeep depends on as of now.
func (l *Loop) envWithLoads(img *metadata.Image) controller.Env {
	env := l.opts.Env
	if l.opts.Loads == nil {
		return env
	}
	now := l.opts.Now()
	l.keeper.mu.Lock()
	settled := now.Sub(l.keeper.stirred) >= loadsSettle
	l.keeper.mu.Unlock()
	if settled {
		env.Loads = l.leases.loads(now, img)
	}
	return env
}

// noteLocked remembers decisions. keeper.mu is held.
func (k *keeper) noteLocked(now time.Time, why []string) {
	for _, w := range why {
		if len(k.said) == mostDecisions {
			k.said = append(k.said[:0], k.said[1:]...)
		}
		k.said = append(k.said, Decision{At: now.Round(0), Text: w})
	}
}

var explained = verb[struct{}, Explanation]{
	name: "controller.explain", again: true,
	decide: func(l *Loop, img *metadata.Image, _ struct{}) (_ []metadata.Record, x Explanation) {
		env := l.envWithLoads(img)
		_, x.Next = controller.Upkeep(&env, img, upkeepMoves)
		l.keeper.mu.Lock()
		defer l.keeper.mu.Unlock()
		x.Past = append(x.Past, l.keeper.said...)
		return nil, x
	},
}

// Explain tells what the controller did by itself lately, and what it would do next.
func (l *Loop) Explain(ctx context.Context) (Explanation, error) {
	return explained.ask(ctx, l, struct{}{})
}
