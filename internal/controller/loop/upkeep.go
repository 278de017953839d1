package loop

import (
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
	k.upkept, k.quiet, k.moved = now.Add(lease-upkeepInterval), -1, false
}

// upkeepDue reports whether it is time to think about upkeep.
func (l *Loop) upkeepDue(now time.Time, img *metadata.Image) bool {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	return l.keeper.quiet != img.Offset && (l.keeper.moved || now.Sub(l.keeper.upkept) >= upkeepInterval)
}

// upkeep takes the next step of what the controller does by itself.
func (l *Loop) upkeep() {
	if !l.upkeepDue(l.opts.Now(), l.Image()) {
		return
	}
	var why []string
	quiet := metadata.Offset(-1)
	l.keeper.mu.Lock()
	l.keeper.upkept, l.keeper.moved = l.opts.Now(), false
	l.keeper.mu.Unlock()
	err := l.submitLarge(func(img *metadata.Image) (records []metadata.Record) {
		if records, why = controller.Upkeep(&l.opts.Env, img, upkeepMoves); len(records) == 0 {
			quiet = img.Offset
		}
		return records
	})
	if err != nil {
		return // the next second
	}
	for _, w := range why {
		l.opts.Logger.Info("upkeep", "what", w)
	}
	l.keeper.mu.Lock()
	l.keeper.quiet = quiet
	l.keeper.mu.Unlock()
}
