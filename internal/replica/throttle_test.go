package replica

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/seed"
)

// However large the pieces, over a while no more is copied than the rate allows, plus what a second brings and one piece; and not much less.
func TestABucketHoldsToItsRate(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed.Of(t), 0))
	for range 20 {
		rate, piece := 1+rng.Int64N(1<<20), 1+rng.IntN(1<<20)
		b := bucket{rate: rate}
		start := time.Unix(1000, 0)
		now, copied := start, int64(0)
		for now.Sub(start) < 5*time.Minute {
			if wait := b.wait(now); wait > 0 {
				now = now.Add(wait)
				continue
			}
			n := 1 + rng.IntN(piece)
			b.spend(now, n)
			copied += int64(n)
			now = now.Add(time.Duration(rng.Int64N(int64(time.Millisecond))))
		}
		allowed := float64(rate) * now.Sub(start).Seconds()
		if got := float64(copied); got > allowed+float64(rate)+float64(piece) || got < 0.5*allowed-float64(piece) {
			t.Errorf("%d bytes a second in pieces of %d: %.0f were copied, %.0f are allowed", rate, piece, got, allowed)
		}
	}
}

func TestABucketOfNothingGivesNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	none, all := bucket{}, bucket{rate: Unthrottled}
	for range 10 {
		now = now.Add(time.Hour)
		all.spend(now, 1<<40)
		if none.wait(now) <= 0 || all.wait(now) != 0 {
			t.Fatalf("%+v %+v", none, all)
		}
	}
	limited := newThrottle()
	if limited.Spend(now, 1<<40); limited.Wait(now) != 0 {
		t.Error("there is no limit")
	}
	limited.set(1000)
	if limited.Spend(now, 5000); limited.Wait(now) < 3*time.Second || limited.Wait(now.Add(10*time.Second)) != 0 {
		t.Errorf("%v", limited.Wait(now))
	}
}
