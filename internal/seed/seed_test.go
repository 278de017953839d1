package seed

import (
	"fmt"
	"testing"
)

// SED-1
func TestATestHasSeedsOfItsOwn(t *testing.T) {
	t.Setenv("RAFKA_SEED", "")
	t.Setenv("RAFKA_EXPLORE", "")
	seen := map[uint64]string{}
	for i := range 3 {
		t.Run(fmt.Sprint("inner", i), func(t *testing.T) {
			for range 3 {
				s := Of(t)
				if other, ok := seen[s]; ok {
					t.Errorf("%s has a seed of %s", t.Name(), other)
				}
				seen[s] = t.Name()
			}
		})
	}
	before := Of(t)
	asked = map[string]uint64{} // as in another process
	if Of(t) != before {
		t.Error("another run has other seeds")
	}
}

// SED-2, SED-3
func TestTheEnvironmentNamesSeeds(t *testing.T) {
	t.Setenv("RAFKA_SEED", "")
	t.Setenv("RAFKA_EXPLORE", "1")
	if a, b := Of(t), Of(t); a == b || a+1 == b {
		t.Error("exploring gives seeds that are not random")
	}
	asked = map[string]uint64{}
	t.Setenv("RAFKA_SEED", "18446744073709551614")
	if a, b := Of(t), Of(t); a != 1<<64-2 || b != 1<<64-1 {
		t.Errorf("seeds %d and %d, want what RAFKA_SEED says and the one after it", a, b)
	}
}
