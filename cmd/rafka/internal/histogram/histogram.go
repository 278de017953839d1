package histogram

import (
	"math"
	"math/bits"
	"time"
)

// A duration of n nanoseconds falls into bucket n while n < 64; above, each power of two is cut into 64 equal buckets.
//
//	0 1 … 63 | 64 65 … 127 | 128 130 … 254 | 256 260 …
const (
	subBits = 6
	sub     = 1 << subBits
	buckets = (64 - subBits) * sub
)

// Histogram counts durations. The zero value is ready. It is not safe for concurrent use: give each goroutine its own
// and Merge them, which keeps the hot path free of shared cache lines.
type Histogram struct {
	counts [buckets]int64
	total  int64
	sum    float64 // float: a sum of nanoseconds overflows int64 after a year of one-second records at 300/s
	max    time.Duration
}

// Record counts d once; negative durations (a clock stepped back) count as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.sum += float64(d)
	h.max = max(h.max, d)
}

// Merge adds all that other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count is how many durations were recorded, Max the longest, Mean their average.
func (h *Histogram) Count() int64       { return h.total }
func (h *Histogram) Max() time.Duration { return h.max }
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.total))
}

// Percentile is the duration that p percent (0..100) of the recorded ones do not exceed; 0 if nothing was recorded.
func (h *Histogram) Percentile(p float64) time.Duration {
	// 99.9 is a little more than 99.9 in binary, which must not move the rank up by one.
	rank := max(int64(math.Ceil(p*float64(h.total)/100-1e-6)), 1)
	var seen int64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(upperBound(i), h.max)
		}
	}
	return h.max
}

func bucketOf(n uint64) int {
	if n < sub {
		return int(n)
	}
	shift := bits.Len64(n) - subBits - 1
	return (shift+1)*sub + int(n>>shift) - sub
}

// upperBound is the largest duration of bucket i.
func upperBound(i int) time.Duration {
	if i < sub {
		return time.Duration(i)
	}
	shift := i/sub - 1
	low := uint64(i%sub+sub) << shift
	return time.Duration(low + 1<<shift - 1)
}
