package compact

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage/memlog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// A compaction that a crash ends at any sync leaves each group of segments old or new; compacting what is left gives what compacting
// without a crash gives (CMP-5).
func TestCompactionSurvivesCrashes(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	mem := vfs.NewMem()
	open := func(fs vfs.FS) *memlog.Engine {
		t.Helper()
		e, err := memlog.Open(memlog.Options{Dir: "/data", FS: fs, SnapshotBytes: 1 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	h := newHistoryOver(t, open(mem))
	for range 120 {
		h.random(rng)
	}
	for p := range h.seq {
		if _, ok := h.open[p]; ok {
			h.finish(p, p%2 == 0)
		}
	}
	h.roll()
	if err := h.log.Sync(t.Context(), h.end); err != nil {
		t.Fatal(err)
	}
	var left []*vfs.Mem
	var crashing sync.Mutex // the engine syncs in goroutines of its own
	mem.OnSync(func(string) {
		crashing.Lock()
		defer crashing.Unlock()
		for _, mode := range []vfs.CrashMode{vfs.LoseUnsynced, vfs.KeepSome, vfs.KeepAll} {
			left = append(left, mem.Crash(rng, mode))
		}
	})
	pol := Policy{DeleteRetention: time.Hour, SegmentBytes: 6000}
	h.compact(pol, Limits{KeyBytes: 400})
	mem.OnSync(nil)
	crashing.Lock()
	defer crashing.Unlock()
	want := records(h)
	if len(left) < 10 {
		t.Fatalf("%d crashes", len(left))
	}
	for i, fs := range left {
		e := open(fs)
		again := *h
		again.use(e)
		again.state.FirstDirty = 0
		again.compact(pol, Limits{})
		if got := records(&again); !slices.Equal(got, want) {
			t.Fatalf("after crash %d:\n%q, want\n%q", i, got, want)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// records is the dump without the empty batches, of which the number of passes decides how many stay.
func records(h *history) []string {
	return slices.DeleteFunc(h.dump(), func(s string) bool { return strings.HasPrefix(s, "[") })
}
