package share

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// benchSettings are Kafka's defaults.
var benchSettings = Settings{MaxLocks: 2000, DeliveryLimit: 5, LockDuration: 30 * time.Second, Renew: true, RedeliverFirst: true}

func newBench(b *testing.B, s Settings) *Partition {
	p, err := Restore(s, State{})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// One member fetches 500 records in one record batch, accepts them, and the write is confirmed.
func BenchmarkFetch500AndAccept(b *testing.B) {
	p := newBench(b, benchSettings)
	now := epoch
	var w Write
	var got []AcquiredRange
	read := make([]Batch, 1)
	acks := []Ack{{Types: []int8{AckAccept}}}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		s, _ := p.Next(now, Look{LogEnd: p.End() + 500})
		read[0] = Batch{First: s.First, Last: s.Last}
		got = p.Acquire(now, Ask{Member: "ada", Max: 500}, read, got[:0])
		acks[0].First, acks[0].Last = got[0].First, got[0].Last
		if _, err := p.Acknowledge(now, "ada", acks); err != nil {
			b.Fatal(err)
		}
		p.Changes(&w)
		p.Persisted(now, w.Ticket)
	}
}

// The same in batches of one record, acknowledged one by one with mixed types, as a client does that is not sure.
func BenchmarkFetch500AndAcknowledgeEach(b *testing.B) {
	p := newBench(b, benchSettings)
	now := epoch
	var w Write
	var got []AcquiredRange
	read := make([]Batch, 500)
	types := make([]int8, 500)
	for i := range types {
		types[i] = AckAccept
		if i%3 == 0 {
			types[i] = AckGap
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		s, _ := p.Next(now, Look{LogEnd: p.End() + 500})
		for i := range read {
			at := s.First + kafka.Offset(i)
			read[i] = Batch{First: at, Last: at}
		}
		got = p.Acquire(now, Ask{Member: "ada", Max: 500}, read, got[:0])
		if _, err := p.Acknowledge(now, "ada", []Ack{{got[0].First, got[0].Last, types}}); err != nil {
			b.Fatal(err)
		}
		p.Changes(&w)
		p.Persisted(now, w.Ticket)
	}
}

// 500 records with 50 keys, of which each fetch gets the 50 first.
func BenchmarkFetchInOrderOfKeys(b *testing.B) {
	s := benchSettings
	s.KeyOrdering = true
	p := newBench(b, s)
	now := epoch
	var w Write
	var got []AcquiredRange
	records := make([]Record, 500)
	var acks []Ack
	types := []int8{AckAccept}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		s, _ := p.Next(now, Look{LogEnd: p.End() + 500})
		if s.IsNew {
			for i := range records {
				records[i] = Record{Offset: s.First + kafka.Offset(i), Key: uint64(1 + i%50)}
			}
		}
		read := []Batch{{First: s.First, Last: s.Last, Records: records}}
		got = p.Acquire(now, Ask{Member: "ada", Max: 500}, read, got[:0])
		acks = acks[:0]
		for _, a := range got {
			n += int(a.Last-a.First) + 1
			acks = append(acks, Ack{a.First, a.Last, types})
		}
		if _, err := p.Acknowledge(now, "ada", acks); err != nil {
			b.Fatal(err)
		}
		p.Changes(&w)
		p.Persisted(now, w.Ticket)
	}
	b.ReportMetric(float64(n)/float64(b.N), "records/op")
}

// A million records wait for their time, one becomes due with each step.
func BenchmarkMillionDelayed(b *testing.B) {
	p := newBench(b, benchSettings)
	now := epoch
	const n = 1_000_000
	records := make([]Record, 1000)
	for first := kafka.Offset(0); first < n; first += 1000 {
		for i := range records {
			at := first + kafka.Offset(i)
			records[i] = Record{Offset: at, NotBefore: kafka.Timestamp(now.UnixMilli() + 1 + int64(at)*7919%n)}
		}
		p.Next(now, Look{LogEnd: n})
		p.Acquire(now, Ask{Member: "ada", Max: 500}, []Batch{{First: first, Last: first + 999, Records: records}}, nil)
	}
	var w Write
	var got []AcquiredRange
	read := make([]Batch, 1)
	acks := []Ack{{Types: []int8{AckAccept}}}
	b.ReportAllocs()
	for b.Loop() {
		wake := p.NextWake(now)
		if wake.IsZero() {
			b.Skip("all delivered")
		}
		now = wake
		s, ok := p.Next(now, Look{LogEnd: n})
		if !ok {
			continue
		}
		read[0] = Batch{First: s.First, Last: s.Last}
		got = p.Acquire(now, Ask{Member: "ada", Max: 500}, read, got[:0])
		for _, a := range got {
			acks[0].First, acks[0].Last = a.First, a.Last
			if _, err := p.Acknowledge(now, "ada", acks); err != nil {
				b.Fatal(err)
			}
		}
		p.Changes(&w)
		p.Persisted(now, w.Ticket)
	}
}

// A record at the start is never acknowledged while 500 others come and go.
func BenchmarkStuckRecord(b *testing.B) {
	s := benchSettings
	s.LockDuration = 1000 * time.Hour
	p := newBench(b, s)
	now := epoch
	p.Next(now, Look{LogEnd: 1})
	p.Acquire(now, Ask{Member: "bob", Max: 1}, []Batch{{First: 0, Last: 0}}, nil)
	var w Write
	var got []AcquiredRange
	read := make([]Batch, 1)
	acks := []Ack{{Types: []int8{AckAccept}}}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		s, _ := p.Next(now, Look{LogEnd: p.End() + 500})
		read[0] = Batch{First: s.First, Last: s.Last}
		got = p.Acquire(now, Ask{Member: "ada", Max: 500}, read, got[:0])
		acks[0].First, acks[0].Last = got[0].First, got[0].Last
		if _, err := p.Acknowledge(now, "ada", acks); err != nil {
			b.Fatal(err)
		}
		p.Changes(&w)
		p.Persisted(now, w.Ticket)
	}
}
