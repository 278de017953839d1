package logtest

import (
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// STO-1: offsets strictly rise, the end is the last offset + 1, and an append may hold several batches.
func appendContinues(s *suite) {
	u := s.open("t", small)
	u.check()
	for range 30 {
		u.append(1)
		var several record.Batches
		next := u.model.end
		for range 1 + u.rng.IntN(5) {
			b := u.batch(next)
			next = pieces(b)[0].NextOffset()
			several = append(several, b...)
		}
		u.put(several)
	}
	u.check()
	u.sync()
	u.check()
}

// STO-1: what does not continue the log, or is not whole, is refused and changes nothing.
func appendRefuses(s *suite) {
	u := s.open("t", small)
	u.append(3)
	b := u.batch(u.model.end)
	for name, bad := range map[string]record.Batches{
		"nothing":               nil,
		"half a batch":          b[:len(b)/2],
		"a batch and dirt":      append(append(record.Batches{}, b...), 1, 2, 3),
		"an old offset":         u.batch(u.model.end - 1),
		"the same offset twice": append(append(record.Batches{}, b...), b...),
	} {
		if span, err := u.log.Append(bad); err == nil {
			u.Errorf("appending %s: %+v", name, span)
		}
	}
	u.check()
	u.put(b)
	u.check()
}

// Append borrows: the caller may use its memory again at once.
func appendBorrows(s *suite) {
	u := s.open("t", small)
	for range 20 {
		b := u.batch(u.model.end)
		u.put(b)
		clear(b)
	}
	u.check()
}

// BenchmarkAppend measures appending batches of the given size to one log, with a Sync after each group.
func BenchmarkAppend(b *testing.B, e storage.Engine, valueBytes, group int) {
	l, err := e.Open(storage.ID{TopicPartition: kafka.TopicPartition{Topic: "bench"}, TopicID: topicID("bench", 0)}, storage.Config{})
	if err != nil {
		b.Fatal(err)
	}
	batch := Batch{Records: 1, ValueBytes: valueBytes, Timestamp: 1, Seed: 1}.Append(nil)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	next := kafka.Offset(0)
	for b.Loop() {
		record.Stamp(batch, next, 0)
		if _, err := l.Append(batch); err != nil {
			b.Fatal(err)
		}
		if next++; int(next)%group == 0 {
			if err := l.Sync(b.Context(), next); err != nil {
				b.Fatal(err)
			}
		}
	}
}
