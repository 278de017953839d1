package group

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// kafkaRecords are keys and values that Kafka 4.4 wrote to __consumer_offsets, a line each; a tombstone has no value.
func kafkaRecords(t testing.TB) (list [][2][]byte) {
	text, err := os.ReadFile("testdata/kafka44_records.hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		key, err := hex.DecodeString(k)
		if err != nil {
			t.Fatal(err)
		}
		value, err := hex.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		if len(value) == 0 {
			value = nil
		}
		list = append(list, [2][]byte{key, value})
	}
	return list
}

// encode is a record as the log has it.
func encode(r coordinator.Record) (key, value []byte) {
	key = r.AppendKey(nil)
	if v, ok := r.AppendValue([]byte{}); ok {
		value = v
	}
	return key, value
}

// Kafka's dump tools read what Kafka wrote; so they read ours.
func TestRecordsAreByteForByteThoseOfKafka(t *testing.T) {
	s := newWorld(t).Shard
	list := kafkaRecords(t)
	if len(list) < 10 {
		t.Fatalf("only %d records", len(list))
	}
	for i, kv := range list {
		r, err := s.Decode(kv[0], kv[1])
		if err != nil || r == nil {
			t.Fatalf("line %d: %v, %v", i+1, r, err)
		}
		if key, value := encode(r); !bytes.Equal(key, kv[0]) || !bytes.Equal(value, kv[1]) {
			t.Errorf("line %d is\n%x %x, written again it is\n%x %x", i+1, kv[0], kv[1], key, value)
		}
	}
}

func TestRecordsComeBackAsTheyWent(t *testing.T) {
	s := newWorld(t).Shard
	some, none := "range", (*string)(nil)
	for _, r := range []record{
		&offsetCommit{group: "g", offsetKey: offsetKey{"orders", 3}, leaderEpoch: 5, offset: 1 << 40, metadata: "note", committed: 17, expires: -1, topicID: kafka.UUID{1}},
		&offsetCommit{group: "g", offsetKey: offsetKey{"orders", 3}, leaderEpoch: -1, offset: 0, committed: 17, expires: -1},
		&offsetCommit{group: "", offsetKey: offsetKey{"orders", 3}, leaderEpoch: -1, offset: 9, committed: 17, expires: 99},
		&offsetCommit{group: "g", offsetKey: offsetKey{"orders", 3}, leaderEpoch: -1, expires: -1, gone: true},
		&groupMetadata{group: "g", gone: true, since: -1},
		&groupMetadata{group: "g", since: 4, members: []savedMember{}},
		&groupMetadata{group: "g", since: 4, generation: 9, protocolType: "consumer", protocol: &some, leader: &some, members: []savedMember{
			{id: "a", instance: none, client: Client{"c", "/h"}, rebalanceTimeout: 1, sessionTimeout: 2, subscription: []byte{1}, assignment: []byte{}},
			{id: "b", instance: &some, client: Client{"", ""}, rebalanceTimeout: 3, sessionTimeout: 4, subscription: []byte{}, assignment: []byte("x")},
		}},
	} {
		key, value := encode(r)
		got, err := s.Decode(key, value)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v came back as %+v, %v", r, got, err)
		}
	}
}

// Older versions are in logs that were copied from Kafka.
func TestOldRecordVersionsAreRead(t *testing.T) {
	s := newWorld(t).Shard
	key := offsetCommit{group: "g", offsetKey: offsetKey{"t", 1}}
	k := key.AppendKey(nil)
	for _, c := range []struct {
		value string
		want  offsetCommit
	}{
		{"0000 000000000000000a 0001 6d 0000000000000011", offsetCommit{offset: 10, metadata: "m", committed: 17, expires: -1, leaderEpoch: -1}},
		{"0001 000000000000000a 0001 6d 0000000000000011 0000000000000022", offsetCommit{offset: 10, metadata: "m", committed: 17, expires: 34, leaderEpoch: -1}},
		{"0002 000000000000000a 0001 6d 0000000000000011", offsetCommit{offset: 10, metadata: "m", committed: 17, expires: -1, leaderEpoch: -1}},
		{"0003 000000000000000a 00000005 0001 6d 0000000000000011", offsetCommit{offset: 10, metadata: "m", committed: 17, expires: -1, leaderEpoch: 5}},
		{"0004 000000000000000a 00000005 02 6d 0000000000000011 00", offsetCommit{offset: 10, metadata: "m", committed: 17, expires: -1, leaderEpoch: 5}},
		{"0004 000000000000000a 00000005 02 6d 0000000000000011 02 00 10 000102030405060708090a0b0c0d0e0f 07 01 ff", offsetCommit{offset: 10, metadata: "m", committed: 17,
			expires: -1, leaderEpoch: 5, topicID: kafka.UUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}},
	} {
		c.want.group, c.want.offsetKey = "g", offsetKey{"t", 1}
		got, err := s.Decode(k, unhex(t, c.value))
		if err != nil || !reflect.DeepEqual(got, &c.want) {
			t.Errorf("%s is read as %+v, %v", c.value, got, err)
		}
	}
	k = (&groupMetadata{group: "g"}).AppendKey(nil)
	m := savedMember{id: "m", client: Client{"c", "h"}, rebalanceTimeout: 7, sessionTimeout: 9, subscription: []byte{1}, assignment: []byte{2}}
	for version, value := range []string{
		"0000 0001 74 00000003 ffff ffff 00000001 0001 6d 0001 63 0001 68 00000009 00000001 01 00000001 02",
		"0001 0001 74 00000003 ffff ffff 00000001 0001 6d 0001 63 0001 68 00000007 00000009 00000001 01 00000001 02",
		"0002 0001 74 00000003 ffff ffff 0000000000000005 00000001 0001 6d 0001 63 0001 68 00000007 00000009 00000001 01 00000001 02",
		"0003 0001 74 00000003 ffff ffff 0000000000000005 00000001 0001 6d ffff 0001 63 0001 68 00000007 00000009 00000001 01 00000001 02",
		"0004 02 74 00000003 00 00 0000000000000005 02 02 6d 00 02 63 02 68 00000007 00000009 02 01 02 02 00 00",
	} {
		want := groupMetadata{group: "g", protocolType: "t", generation: 3, since: 5, members: []savedMember{m}}
		if version == 0 {
			want.members = slices.Clone(want.members)
			want.members[0].rebalanceTimeout = 9
		}
		if version < 2 {
			want.since = -1
		}
		got, err := s.Decode(k, unhex(t, value))
		if err != nil || !reflect.DeepEqual(got, &want) {
			t.Errorf("version %d is read as %+v, %v", version, got, err)
		}
	}
	if _, err := s.Decode(k, []byte{0, 9}); !errors.Is(err, errRecordVersion) {
		t.Errorf("an unknown version is read: %v", err)
	}
	if r, err := s.Decode([]byte{0, 99}, []byte{0, 0}); r != nil || err != nil {
		t.Errorf("an unknown type is %v, %v; it may be skipped", r, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A decoder takes any bytes, and what it accepts it writes so that it reads the same again.
func FuzzDecodeRecord(f *testing.F) {
	for _, kv := range kafkaRecords(f) {
		f.Add(kv[0], kv[1])
	}
	for t := range decoders {
		f.Add(appendKey(nil, t, "g", "m"), []byte{0, 0, 0, 0, 0, 1})
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s := newWorld(t).Shard
		r, err := s.Decode(key, value)
		if err != nil || r == nil {
			return
		}
		k, v := encode(r)
		again, err := s.Decode(k, v)
		if err != nil {
			t.Fatalf("%x %x is read, written as %x %x and not read again: %v", key, value, k, v, err)
		}
		if k2, v2 := encode(again); !bytes.Equal(k, k2) || !bytes.Equal(v, v2) {
			t.Fatalf("%x %x is written as %x %x and then as %x %x", key, value, k, v, k2, v2)
		}
		s.Replay(r, coordinator.Producer{ID: -1, Epoch: -1})
	})
}
