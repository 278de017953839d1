package group

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/timeline"
)

// kafkaStreamsRecords are keys and values of a streams group as Kafka 4.4 wrote them, a line each; a tombstone has no value.
func kafkaStreamsRecords(t testing.TB) (list [][2][]byte) {
	text, err := os.ReadFile("testdata/kafka44_streams_records.hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kv [2][]byte
		for i, field := range strings.Fields(line) {
			if kv[i], err = hex.DecodeString(field); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, kv)
	}
	return list
}

// Kafka's dump tools read what Kafka wrote; so they read ours.
func TestRecordsOfStreamsGroupsAreByteForByteThoseOfKafka(t *testing.T) {
	s := newWorld(t).Shard
	types := map[byte]bool{}
	for i, kv := range kafkaStreamsRecords(t) {
		r, err := s.Decode(kv[0], kv[1])
		if err != nil || r == nil {
			t.Fatalf("line %d: %v, %v", i+1, r, err)
		}
		types[kv[0][1]] = true
		if key, value := encode(r); !bytes.Equal(key, kv[0]) || !bytes.Equal(value, kv[1]) {
			t.Errorf("line %d is\n%x %x, written again it is\n%x %x", i+1, kv[0], kv[1], key, value)
		}
	}
	for want := byte(17); want <= 23; want++ {
		if want != 18 && !types[want] {
			t.Errorf("there is no record of type %d", want)
		}
	}
}

// Whatever bytes are in a log, reading and folding them neither panics nor takes more memory than they do, and what was read is written in a
// way that reads the same.
func FuzzRecordsOfStreamsGroups(f *testing.F) {
	for _, kv := range kafkaStreamsRecords(f) {
		f.Add(kv[0], kv[1])
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s := New(Env{}, timeline.NewRegistry())
		r, err := s.Decode(key, value)
		if err != nil || r == nil {
			return
		}
		s.Replay(r, coordinator.Producer{ID: -1, Epoch: -1})
		k, v := encode(r)
		again, err := s.Decode(k, v)
		if err != nil {
			t.Fatalf("%x %x is written as %x %x, which cannot be read: %v", key, value, k, v, err)
		}
		if k2, v2 := encode(again); !bytes.Equal(k, k2) || !bytes.Equal(v, v2) {
			t.Fatalf("%x %x is written as %x %x, and then as %x %x", key, value, k, v, k2, v2)
		}
	})
}
