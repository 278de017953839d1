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
)

// began puts off upkeep until all leases tell who is alive.
func (k *keeper) began(now time.Time, lease time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.upkept, k.quiet, k.moved, k.stirred, k.said, k.stuck = now.Add(lease-upkeepInterval), -1, false, now, nil, nil
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
	l.keeper.upkept, l.keeper.moved = now, false
	l.keeper.mu.Unlock()
	err := l.submitLarge(func(img *metadata.Image) (records []metadata.Record) {
		env := l.envWithLoads(img)
		if records, why = controller.Upkeep(&env, img, upkeepMoves); len(records) == 0 {
			quiet = img.Offset
		}
		return records
	})
	if err != nil {
		return // the next second
	}
	l.keeper.mu.Lock()
	l.keeper.quiet = quiet
	if quiet < 0 {
		l.keeper.stirred = l.opts.Now()
	}
	if slices.Equal(why, l.keeper.stuck) {
		why = nil // what cannot be done is said once
	} else if l.keeper.stuck = nil; quiet >= 0 {
		l.keeper.stuck = why
	}
	l.keeper.noteLocked(l.opts.Now(), why)
	l.keeper.mu.Unlock()
	for _, w := range why {
		l.opts.Logger.Info("upkeep", "what", w)
	}
}
