package seed

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
)

var (
	mu    sync.Mutex
	asked = map[string]uint64{} // by the name of a test: how many seeds it has got
)

// Of is the next seed of a test. A RAFKA_SEED that is no number fails the test.
func Of(t testing.TB) uint64 {
	t.Helper()
	mu.Lock()
	nth := asked[t.Name()]
	asked[t.Name()]++
	mu.Unlock()
	if v := os.Getenv("RAFKA_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("RAFKA_SEED=%q is no seed: want a number from 0 to 2^64-1", v)
		}
		return n + nth
	}
	if os.Getenv("RAFKA_EXPLORE") != "" {
		return rand.Uint64()
	}
	h := fnv.New64a()
	h.Write([]byte(t.Name()))
	return h.Sum64() + nth
}
