package sim

import (
	"os"
	"strconv"
	"testing"

	"github.com/rafka-io/rafka/internal/seed"
)

// seeds is how many runs there are: n, so many as RAFKA_SIM_SEEDS asks for, or the one that RAFKA_SEED names.
func seeds(t *testing.T, n int) int {
	if os.Getenv("RAFKA_SEED") != "" {
		return 1
	}
	if v := os.Getenv("RAFKA_SIM_SEEDS"); v != "" {
		more, err := strconv.Atoi(v)
		if err != nil || more < 1 {
			t.Fatalf("RAFKA_SIM_SEEDS=%q is no number of seeds", v)
		}
		return more
	}
	if testing.Short() {
		return n / 8
	}
	return n
}

// SIM-9: the same seed gives the same run, event by event.
func TestASeedIsOneRun(t *testing.T) {
	first := seed.Of(t)
	for i := range uint64(10) {
		a, b := newWorld(first+i, mutant{}), newWorld(first+i, mutant{})
		va, vb := a.play(), b.play()
		if a.trace.hash != b.trace.hash || a.trace.lines != b.trace.lines || a.count != b.count || va != vb {
			t.Fatalf("seed %d: traces %x of %d lines, %d events, and %x of %d lines, %d events", a.seed, a.trace.hash, a.trace.lines, a.count, b.trace.hash, b.trace.lines, b.count)
		}
	}
}

// SIM-1, SIM-2, SIM-3, SIM-4, SIM-5, SIM-6, SIM-7, SIM-8, SIM-9: whatever happens to a cluster.
func TestClusterHolds(t *testing.T) {
	first := seed.Of(t)
	n := seeds(t, 200)
	const lanes = 4
	for lane := range lanes {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			for i := lane; i < n; i += lanes {
				w := newWorld(first+uint64(i), mutant{})
				w.trace.all = os.Getenv("RAFKA_SIM_TRACE") != ""
				if v := w.play(); v != "" {
					t.Fatalf("RAFKA_SEED=%d: %s\n%s", w.seed, v, w.trace.last())
				}
			}
		})
	}
}
