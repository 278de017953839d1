package share

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/timeline"
)

// kafkaRecords are what Kafka 4.4's own ShareCoordinatorRecordSerde writes: name, key, value.
func kafkaRecords(t testing.TB) (list [][3]string) {
	b, err := os.ReadFile("testdata/kafka-4.4-records.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		list = append(list, [3]string{f[0], f[1], f[2]})
	}
	return list
}

func unhex(t testing.TB, s string) []byte {
	if s == "-" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func emptyShard(updates int) *Shard { return NewShard(envOf(updates), timeline.NewRegistry()) }

func TestRecordsAreKafkas(t *testing.T) {
	for _, l := range kafkaRecords(t) {
		key, value := unhex(t, l[1]), unhex(t, l[2])
		r, err := emptyShard(500).Decode(key, value)
		if err != nil {
			t.Fatalf("%s: %v", l[0], err)
		}
		if got := r.AppendKey(nil); !bytes.Equal(got, key) {
			t.Errorf("%s: key is %x, Kafka's is %x", l[0], got, key)
		}
		if got, ok := r.AppendValue(nil); ok != (value != nil) || !bytes.Equal(got, value) {
			t.Errorf("%s: value is %x\n Kafka's is %x", l[0], got, value)
		}
	}
}

func TestDecodeTellsEveryField(t *testing.T) {
	want := map[string]coordinator.Record{
		"snapshot": &snapshot{
			key: queueKey, epoch: 7, stateEpoch: 2, createdAt: 1700000000000, writtenAt: 1700000300000,
			stateValue: stateValue{leaderEpoch: 5, start: 10, deliveryComplete: 11, batches: []StateBatch{{10, 19, Available, 1}, {20, 20, Acknowledged, 3}, {25, 1000000, Archived, 5}}},
		},
		"update": &update{
			key: queueKey, epoch: 7,
			stateValue: stateValue{leaderEpoch: 5, start: 10, deliveryComplete: 1, batches: []StateBatch{{10, 19, Available, 1}, {20, 20, Acknowledged, 3}, {25, 1000000, Archived, 5}}},
		},
		"tombstone": &snapshot{key: queueKey, isGone: true},
	}
	for _, l := range kafkaRecords(t) {
		if want[l[0]] == nil {
			continue
		}
		got, err := emptyShard(500).Decode(unhex(t, l[1]), unhex(t, l[2]))
		if err != nil || !reflect.DeepEqual(got, want[l[0]]) {
			t.Errorf("%s: %+v (%v)\nwant %+v", l[0], got, err, want[l[0]])
		}
	}
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	s := emptyShard(500)
	var key, value []byte
	for _, l := range kafkaRecords(t) {
		if l[0] == "snapshot" {
			key, value = unhex(t, l[1]), unhex(t, l[2])
		}
	}
	for i := range key {
		if _, err := s.Decode(key[:i], value); err == nil {
			t.Errorf("a key cut after %d bytes is taken", i)
		}
	}
	for i := range value {
		if _, err := s.Decode(key, append([]byte{}, value[:i]...)); err == nil {
			t.Errorf("a value cut after %d bytes is taken", i)
		}
	}
	if _, err := s.Decode(key, append([]byte{0, 1}, value[2:]...)); !errors.Is(err, errRecordVersion) {
		t.Errorf("a value of a later version: %v", err)
	}
	if r, err := s.Decode([]byte{0, 9, 1, 2, 3}, value); r != nil || err != nil {
		t.Errorf("an unknown type: %v %v", r, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, l := range kafkaRecords(f) {
		f.Add(unhex(f, l[1]), unhex(f, l[2]))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s := emptyShard(500)
		r, err := s.Decode(key, value)
		if err != nil || r == nil {
			return
		}
		s.Replay(r, coordinator.Producer{})
		s.Replay(r, coordinator.Producer{})
		for _, st := range s.states.All() {
			if !isTidy(st.batches) {
				t.Fatalf("state has %v", st.batches)
			}
		}
		k := r.AppendKey(nil)
		v, ok := r.AppendValue(nil)
		if !ok {
			v = nil
		}
		again, err := s.Decode(k, v)
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v was written and read as %+v (%v)", r, again, err)
		}
	})
}
