// Package seed gives random tests their seeds: the same one in every run unless somebody asks for others, so that a change is refused for what
// it changed and not for its luck.
//
// The random tests of every package call it; it calls nothing of the project.
//
// # What holds
//
//	SED-1  Without an environment variable a test has the same seed on every machine and in every run; two tests of different names differ.
//	SED-2  RAFKA_SEED=n gives n, which is how a failure is repeated: tests print their seed when they fail.
//	SED-3  RAFKA_EXPLORE=1 gives a new one each time. `make explore` runs the random tests so, for as long as it is told to.
package seed

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Of is the seed of a test. A test that needs many adds 1, 2, … to it. A RAFKA_SEED that is no number fails the test.
func Of(t testing.TB) uint64 {
	t.Helper()
	if v := os.Getenv("RAFKA_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("RAFKA_SEED=%q is no seed: want a number from 0 to 2^64-1", v)
		}
		return n
	}
	if os.Getenv("RAFKA_EXPLORE") != "" {
		return rand.Uint64()
	}
	h := fnv.New64a()
	h.Write([]byte(t.Name()))
	return h.Sum64()
}

// IsFixed reports whether RAFKA_SEED names one seed: then a test of many seeds runs that one only.
func IsFixed() bool { return os.Getenv("RAFKA_SEED") != "" }
