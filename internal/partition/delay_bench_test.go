package partition

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// BenchmarkMillionWaiting is what a million waiting records cost: memory, their snapshot, and the release of them all.
func BenchmarkMillionWaiting(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		d := newDelays()
		for i := range n {
			d.add(waitingRecord{due: kafka.Timestamp(rand.Int64N(3600_000)), offset: kafka.Offset(i), size: 100})
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-add")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/record")
		began = time.Now()
		blob := d.encode(n)
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-save")
		began = time.Now()
		d, _, err := decodeDelays(blob, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-load")
		began = time.Now()
		for d.len() > 0 {
			for _, r := range d.due(noDue, releaseRecords, 1<<40) {
				d.take(r.offset, 0)
			}
			d.committed(noneOpen)
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms-release")
	}
}
