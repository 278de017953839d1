package queue

import (
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/record"
)

// BenchmarkFetchAndAccept is a consumer that takes batches of 500 records of 100 bytes and accepts them with its next fetch.
func BenchmarkFetchAndAccept(b *testing.B) {
	w := newWorld(b)
	w.topic("jobs", 1, 1)
	m := w.member("one", p(1, 0))
	recs := make([]record.Record, 500)
	for i := range recs {
		recs[i].Value = make([]byte, 100)
	}
	var acks []ackOf
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		w.produce("jobs", 0, recs...)
		b.StartTimer()
		resp := m.send(m.ask(0, acks...))
		acks = acks[:0]
		for _, a := range resp.Topics[0].Partitions[0].AcquiredRecords {
			acks = append(acks, ackOf{p(1, 0), a.FirstOffset, a.LastOffset, share.AckAccept})
		}
	}
	b.ReportMetric(500*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
