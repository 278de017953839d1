package broker

import (
	"testing"
	"time"
)

// Buckets are cumulative and a duration on a bound belongs to it, as Prometheus defines them.
func TestLatencyCountsCumulatively(t *testing.T) {
	var l Latency
	for _, d := range []time.Duration{-time.Second, time.Millisecond, time.Millisecond + 1, 10 * time.Second, time.Hour} {
		l.Observe(d)
	}
	c := l.Counts()
	if c.Count != 5 || c.Buckets[.001] != 2 || c.Buckets[.005] != 3 || c.Buckets[5] != 3 || c.Buckets[10] != 4 || len(c.Buckets) != len(latencyBounds) {
		t.Errorf("%+v", c)
	}
	if twice := c.Add(c); twice.Count != 10 || twice.Sum != 2*c.Sum || twice.Buckets[10] != 8 {
		t.Errorf("%+v", twice)
	}
}

func BenchmarkLatencyObserve(b *testing.B) {
	b.ReportAllocs()
	var l Latency
	for b.Loop() {
		l.Observe(3 * time.Millisecond)
	}
}
