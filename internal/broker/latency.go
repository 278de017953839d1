package broker

import (
	"sync/atomic"
	"time"
)

// latencyBounds are the upper bounds of the buckets, as the first Rafka published them.
var latencyBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latency counts durations in buckets. The zero value is ready; any goroutine may observe.
type Latency struct {
	counts [len(latencyBounds) + 1]atomic.Uint64 // the last one: longer than every bound
	sum    atomic.Int64                          // nanoseconds
}

// Observe counts a duration; a clock that went back counts as zero.
func (l *Latency) Observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(d))
}

// LatencyCounts is what a Latency has counted. Buckets holds, for each upper bound in seconds, how many durations were at most that.
type LatencyCounts struct {
	Count   uint64
	Sum     float64 // seconds
	Buckets map[float64]uint64
}

// Counts reads the buckets. Durations observed meanwhile are in it or not, each wholly as to Count and Buckets.
func (l *Latency) Counts() LatencyCounts {
	c := LatencyCounts{Buckets: make(map[float64]uint64, len(latencyBounds))}
	for i := range l.counts {
		c.Count += l.counts[i].Load()
		if i < len(latencyBounds) {
			c.Buckets[latencyBounds[i].Seconds()] = c.Count
		}
	}
	c.Sum = time.Duration(l.sum.Load()).Seconds()
	return c
}

// Add adds what other has counted, for the sum over doors.
func (c LatencyCounts) Add(other LatencyCounts) LatencyCounts {
	sum := LatencyCounts{Count: c.Count + other.Count, Sum: c.Sum + other.Sum, Buckets: make(map[float64]uint64, len(latencyBounds))}
	for _, bound := range latencyBounds {
		sum.Buckets[bound.Seconds()] = c.Buckets[bound.Seconds()] + other.Buckets[bound.Seconds()]
	}
	return sum
}
