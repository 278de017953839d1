package wire

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rafka-io/rafka/internal/seed"
)

// Many takers with random sizes and cancellations: what is held, counted apart, never passes the limit, and all comes back. (WIR-5)
func TestGateNeverGivesMoreThanItHas(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	const limit = 1000
	g := NewGate(limit)
	var held atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for range 2000 {
				done := make(chan struct{})
				if rng.IntN(4) == 0 {
					close(done)
				}
				n, err := g.Acquire(done, 1+rng.Int64N(limit+200))
				if err != nil {
					continue
				}
				if now := held.Add(n); now > limit {
					t.Errorf("%d held", now)
				}
				held.Add(-n)
				g.Release(n)
			}
		})
	}
	wg.Wait()
	if st := g.Stats(); st.Used != 0 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// Who came first is served first, even if a later one would fit: or large requests would never get their turn.
func TestGateIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(10)
		if _, err := g.Acquire(nil, 6); err != nil {
			t.Fatal(err)
		}
		order := make(chan int64, 2)
		for _, n := range []int64{8, 2} {
			go func() {
				if _, err := g.Acquire(nil, n); err == nil {
					order <- n
				}
			}()
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Error("the small one passed the large one")
		}
		g.Release(6)
		if first, second := <-order, <-order; first+second != 10 {
			t.Errorf("%d, %d", first, second)
		}
		g.Release(10)
	})
}

// Who gives up in front of the queue must not leave those behind it waiting for room that is there.
func TestGivingUpLetsTheNextOneIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(10)
		_, _ = g.Acquire(nil, 6)
		impatient, got := make(chan struct{}), make(chan struct{})
		go func() { _, _ = g.Acquire(impatient, 8) }()
		synctest.Wait()
		go func() {
			_, _ = g.Acquire(nil, 4)
			close(got)
		}()
		synctest.Wait()
		close(impatient)
		<-got
		g.Release(10)
	})
}
