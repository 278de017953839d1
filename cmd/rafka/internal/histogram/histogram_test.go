package histogram

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/seed"
)

// HIS-1: a bucket computed one off would push a percentile below the exact one, or more than 1/64 above it.
func TestPercentilesStayWithinOneBucketOfTheExactOnes(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var h Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(rng.Int64N(1 << rng.IntN(40)))
		all = append(all, d)
		h.Record(d)
	}
	slices.Sort(all)
	for _, hundredths := range []int{0, 10, 2500, 5000, 9000, 9900, 9990, 9999, 10000} {
		p := float64(hundredths) / 100
		rank := max((len(all)*hundredths+9999)/10000, 1)
		exact := all[rank-1]
		got := h.Percentile(p)
		if got < exact || float64(got) > float64(exact)*(1+1.0/64)+1 {
			t.Errorf("p%v = %d, exact %d", p, got, exact)
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != int64(len(all)) {
		t.Errorf("max %v count %d", h.Max(), h.Count())
	}
}

// Each bucket must begin right after the one before ends, up to the longest duration there is.
func TestBucketsHaveNoGap(t *testing.T) {
	for i := range buckets - 1 {
		if up := uint64(upperBound(i)); bucketOf(up) != i || bucketOf(up+1) != i+1 {
			t.Fatalf("bucket %d ends at %d: bucketOf %d, next %d", i, up, bucketOf(up), bucketOf(up+1))
		}
		if upperBound(i) == 1<<63-1 {
			return
		}
	}
}

// HIS-2 in use: merging must equal recording into one, and an empty histogram answers zero.
func TestMergeEqualsRecordingTogether(t *testing.T) {
	var empty, a, b, both Histogram
	if empty.Percentile(99) != 0 || empty.Mean() != 0 {
		t.Error("an empty histogram must answer 0")
	}
	for i := range 1000 {
		d := time.Duration(i * i)
		both.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Merge(&b)
	if a != both {
		t.Error("merged histogram differs")
	}
	a.Record(-time.Second)
	if a.Count() != 1001 || a.Percentile(0) != 0 {
		t.Error("a negative duration must count as 0")
	}
}
