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

// modernRecords are keys and values as Kafka 4.4's own classes write those of consumer and share groups, a line each; a tombstone has no value.
func modernRecords(t testing.TB) (list [][2][]byte) {
	text, err := os.ReadFile("testdata/kafka44_consumer_records.hex")
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
func TestRecordsOfConsumerAndShareGroupsAreByteForByteThoseOfKafka(t *testing.T) {
	s := newWorld(t).Shard
	types := map[byte]bool{}
	for i, kv := range modernRecords(t) {
		r, err := s.Decode(kv[0], kv[1])
		if err != nil || r == nil {
			t.Fatalf("line %d: %v, %v", i+1, r, err)
		}
		types[kv[0][1]] = true
		if key, value := encode(r); !bytes.Equal(key, kv[0]) || !bytes.Equal(value, kv[1]) {
			t.Errorf("line %d is\n%x %x, written again it is\n%x %x", i+1, kv[0], kv[1], key, value)
		}
	}
	for _, want := range []byte{3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16} {
		if !types[want] {
			t.Errorf("there is no record of type %d", want)
		}
	}
}

// Whatever bytes are in a log, reading and folding them neither panics nor takes more memory than they do, and what was read is written in a
// way that reads the same.
func FuzzRecordsOfConsumerAndShareGroups(f *testing.F) {
	for _, kv := range modernRecords(f) {
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

// What clients of the classic protocol say of themselves may be any bytes.
func FuzzClassicSubscriptions(f *testing.F) {
	f.Add(subscription("orders"))
	f.Add([]byte("\x00\x03\x00\x00\x00\x01\x00\x01a\xff\xff\xff\xff\x00\x00\x00\x01\x00\x01a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x01r"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		readClassicSubscription(b)
		readClassicAssignment(b)
	})
}
