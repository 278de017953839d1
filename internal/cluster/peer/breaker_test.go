package peer

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/seed"
)

// Three failures within the window open a breaker; older ones do not count (LNK-7).
func TestBreakerOpensAfterThreeFailuresWithinItsWindow(t *testing.T) {
	now := time.Unix(1000, 0)
	var b breaker
	for range 2 {
		b.failed(now, false, 0)
	}
	now = now.Add(breakerWindow + 1)
	for i := range 3 {
		if _, ok, _ := b.allow(now); !ok {
			t.Fatalf("it is open after %d failures in the window", i)
		}
		b.failed(now, false, 0)
	}
	if _, ok, left := b.allow(now); ok || left != firstWait/2 {
		t.Fatalf("allowed %v for %v after three failures", ok, left)
	}
	b.worked()
	if _, ok, _ := b.allow(now); !ok {
		t.Fatal("it is open after a dial that worked")
	}
}

// While it is open, one dial at a time goes through, and the waits between them stay between half and all of 100 ms to 2 s (LNK-7).
func TestOpenBreakerTriesAgainEverLessOften(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	now := time.Unix(1000, 0)
	var b breaker
	for range 3 {
		b.failed(now, false, rng.Float64())
	}
	want := firstWait
	for i := range 20 {
		_, ok, left := b.allow(now)
		if ok || left < want/2 || left > want {
			t.Fatalf("wait %d is %v (allowed: %v), want %v to %v", i, left, ok, want/2, want)
		}
		b.failed(now, false, 0.5) // of a dial that began earlier: it changes nothing
		if _, _, again := b.allow(now); again != left {
			t.Fatalf("a late failure changed the wait from %v to %v", left, again)
		}
		now = now.Add(left - 1)
		if _, ok, _ := b.allow(now); ok {
			t.Fatal("it opened early")
		}
		now = now.Add(1)
		trial, ok, _ := b.allow(now)
		if !ok || !trial {
			t.Fatalf("the wait is over: trial %v, allowed %v", trial, ok)
		}
		if _, ok, left := b.allow(now); ok || left != 0 {
			t.Fatalf("a second dial beside the trial: %v, %v", ok, left)
		}
		if rng.IntN(2) == 0 { // the trial is given up: the next one may begin at once
			b.gaveUp(true)
			if trial, ok, _ = b.allow(now); !ok || !trial {
				t.Fatal("a trial that was given up keeps others away")
			}
		}
		b.failed(now, trial, rng.Float64())
		want = min(2*want, longestWait)
	}
	if want != longestWait {
		t.Fatalf("the longest wait is %v", want)
	}
}

func TestBreakerForgetsWhenAddressesChange(t *testing.T) {
	now := time.Unix(1000, 0)
	var b breaker
	b.about("a:1")
	for range 3 {
		b.failed(now, false, 0)
	}
	b.about("a:1")
	if _, ok, _ := b.allow(now); ok {
		t.Fatal("the same addresses: it must stay open")
	}
	b.about("a:2")
	if _, ok, _ := b.allow(now); !ok {
		t.Fatal("other addresses: it must be closed")
	}
}
