package seglog

import (
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// mkBatch is a batch of n records whose bytes nobody here looks into.
func mkBatch(base int64, n, size int, ts int64) []byte {
	b := make([]byte, 61+size)
	for i := 61; i < len(b); i++ {
		b[i] = byte(i * 31)
	}
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint64(b[27:], uint64(ts))
	binary.BigEndian.PutUint64(b[35:], uint64(ts))
	for i := 43; i < 57; i++ {
		b[i] = 0xff
	}
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crcTable))
	return b
}

func id(topic string, p int32) storage.ID {
	return storage.ID{TopicPartition: kafka.TopicPartition{Topic: topic, Partition: p}, TopicID: kafka.UUID{1: 7, 2: byte(len(topic))}}
}

func quiet() Options { return Options{Logger: slog.New(slog.DiscardHandler)} }

func open(t testing.TB, fsys vfs.FS, o Options) *Engine {
	t.Helper()
	e, err := Open(fsys, []string{"data"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func openLog(t testing.TB, e *Engine, topic string, cfg storage.Config) *Log {
	t.Helper()
	l, err := e.Open(id(topic, 0), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l.(*Log)
}

// fill appends count batches of one record and returns them.
func fill(t testing.TB, l storage.Log, count, size int) [][]byte {
	t.Helper()
	var all [][]byte
	for range count {
		b := mkBatch(int64(l.Bounds().End), 1, size, int64(l.Bounds().End)+1000)
		if _, err := l.Append(b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// readAll reads every batch from the log's start.
func readAll(t testing.TB, l storage.Log) [][]byte {
	t.Helper()
	var all [][]byte
	for from := l.Bounds().Start; ; {
		x, err := l.Read(from, storage.ReadLimit{MaxBytes: 64 << 10, Below: kafka.NoOffset})
		if err != nil {
			t.Fatalf("read at %d: %v", from, err)
		}
		if x == nil {
			return all
		}
		b, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for h, batch := range b.All() {
			all = append(all, append([]byte(nil), batch...))
			from = h.NextOffset()
		}
		x.Release()
	}
}

func samePrefix(t testing.TB, what string, got, want [][]byte, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%s: %d batches, want %d", what, len(got), n)
	}
	for i := range got {
		if string(got[i]) != string(want[i]) {
			t.Fatalf("%s: batch %d differs", what, i)
		}
	}
}
