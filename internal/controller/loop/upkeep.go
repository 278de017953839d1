package loop

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// upkeepInterval lies between two looks at what the controller does by itself.
	upkeepInterval = time.Second
	// upkeepMoves is how many reassignments it has under way at a time.
	upkeepMoves = 8
	// Replicas and leaders are evened out once nothing has come or gone for evenAfter, or after evenAtLast where something always does: who has
	// just made a topic works with it, and would not like its leader to move.
	evenAfter  = 30 * time.Second
	evenAtLast = 5 * time.Minute
)

// began puts off upkeep until all leases tell who is alive.
func (k *keeper) began(now time.Time, lease time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.upkept, k.quiet, k.moved, k.stirred, k.said, k.stuck = now.Add(lease-upkeepInterval), -1, false, now, nil, nil
	k.shaken = [2]time.Time{now, now}
}

// restlessLocked reports whether brokers or partitions have just come or gone. keeper.mu is held.
func (k *keeper) restlessLocked(now time.Time, partitions int) bool {
	if k.moved || k.parts != partitions {
		if now.Sub(k.shaken[1]) >= evenAfter {
			k.shaken[0] = now
		}
		k.shaken[1], k.parts = now, partitions
	}
	return now.Sub(k.shaken[1]) < evenAfter && now.Sub(k.shaken[0]) < evenAtLast
}

// upkeepDue reports whether it is time to think about upkeep.
func (l *Loop) upkeepDue(now time.Time, img *metadata.Image) bool {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	since := now.Sub(l.keeper.upkept)
	if l.opts.Loads != nil && since >= loadsLook {
		return true
	}
	return l.keeper.quiet != img.Offset && (l.keeper.moved || since >= upkeepInterval)
}

// upkeep takes the next step of what the controller does by itself.
func (l *Loop) upkeep() {
	if !l.upkeepDue(l.opts.Now(), l.Image()) {
		return
	}
	var why []string
	quiet := metadata.Offset(-1)
	l.keeper.mu.Lock()
	now := l.opts.Now()
	if l.keeper.moved || l.opts.Loads != nil && len(controller.Reassigning(l.Image())) > 0 {
		l.keeper.stirred = now
	}
	restless := l.opts.Loads != nil && l.keeper.restlessLocked(now, l.Image().Topics.PartitionCount())
	l.keeper.upkept, l.keeper.moved = now, false
	l.keeper.mu.Unlock()
	idle := false
	err := l.submitLarge(func(img *metadata.Image) (records []metadata.Record) {
		env := l.envWithLoads(img)
		env.Restless = restless
		records, why = controller.Upkeep(&env, img, upkeepMoves)
		if idle = len(records) == 0; idle && !restless {
			quiet = img.Offset
		}
		return records
	})
	if err != nil {
		return // the next second
	}
	l.keeper.mu.Lock()
	l.keeper.quiet = quiet
	if !idle {
		l.keeper.stirred = l.opts.Now()
	}
	if slices.Equal(why, l.keeper.stuck) {
		why = nil // what cannot be done is said once
	} else if l.keeper.stuck = nil; idle {
		l.keeper.stuck = why
	}
	l.keeper.noteLocked(l.opts.Now(), why)
	l.keeper.mu.Unlock()
	for _, w := range why {
		l.opts.Logger.Info("upkeep", "what", w)
	}
}
