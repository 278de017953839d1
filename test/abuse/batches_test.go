package abuse

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fields of a batch, by position.
const (
	lengthAt     = 8
	magicAt      = 16
	crcAt        = 17
	attributesAt = 21
	deltaAt      = 23
	countAt      = 57
	recordsAt    = 61
)

// seal makes the CRC right again.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// A batch that lies is refused with an error that says why, and nothing of it is stored.
func TestBatchesThatLieAreRefused(t *testing.T) {
	w := start(t)
	w.create("target", 1)
	change := func(fn func(b []byte) []byte) []byte { return fn(batchOf(t, 3, 100)) }
	number := func(at int, v uint32) []byte {
		return change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return seal(b) })
	}
	both := func(count uint32) []byte { // consistent in itself, but not with the records
		return change(func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[countAt:], count)
			binary.BigEndian.PutUint32(b[deltaAt:], count-1)
			return seal(b)
		})
	}
	for what, b := range map[string][]byte{
		"none":                  nil,
		"one byte":              {1},
		"half a header":         batchOf(t, 3, 100)[:30],
		"cut":                   change(func(b []byte) []byte { return b[:len(b)-1] }),
		"magic 0":               change(func(b []byte) []byte { b[magicAt] = 0; return b }),
		"magic 1":               change(func(b []byte) []byte { b[magicAt] = 1; return b }),
		"magic 3":               change(func(b []byte) []byte { b[magicAt] = 3; return b }),
		"magic 255":             change(func(b []byte) []byte { b[magicAt] = 255; return b }),
		"wrong CRC":             change(func(b []byte) []byte { b[crcAt]++; return b }),
		"one bit of a record":   change(func(b []byte) []byte { b[len(b)-9] ^= 4; return b }),
		"length 0":              change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[lengthAt:], 0); return b }),
		"length -1":             change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[lengthAt:], 0xffffffff); return b }),
		"length 2^31-1":         change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[lengthAt:], 1<<31-1); return b }),
		"length one less":       change(func(b []byte) []byte { binary.BigEndian.PutUint32(b[lengthAt:], uint32(len(b)-13)); return b }),
		"count 0":               number(countAt, 0),
		"count -1":              number(countAt, 0xffffffff),
		"count 2^31-1":          number(countAt, 1<<31-1),
		"last delta -1":         number(deltaAt, 0xffffffff),
		"last delta 2^31-1":     number(deltaAt, 1<<31-1),
		"2 records said 3 sent": both(2),
		"4 records said 3 sent": both(4),
		"2^31-1 records said":   both(1<<31 - 1),
		"2^28 records said":     both(1 << 28),
		"control":               change(func(b []byte) []byte { b[attributesAt+1] |= 0x20; return seal(b) }),
		"unknown codec":         change(func(b []byte) []byte { b[attributesAt+1] |= 7; return seal(b) }),
		"gzip that is not":      change(func(b []byte) []byte { b[attributesAt+1] |= 1; return seal(b) }), // stored as sent unless the topic has it looked at
		"first record too long": change(func(b []byte) []byte { b[recordsAt] = 0xff; b[recordsAt+1] = 0x7f; return seal(b) }),
		"two batches":           append(batchOf(t, 1, 1), batchOf(t, 1, 1)...),
	} {
		p := w.put("target", 0, b)
		if what == "gzip that is not" {
			continue
		}
		if p.ErrorCode == 0 || p.ErrorMessage == nil {
			t.Errorf("%s: answered %s", what, codeOf(p))
		}
	}
	for _, partition := range []int32{-1, -2147483648, 1, 2147483647} {
		if p := w.put("target", partition, batchOf(t, 1, 1)); p.ErrorCode != 3 { // UNKNOWN_TOPIC_OR_PARTITION
			t.Errorf("partition %d: answered %s", partition, codeOf(p))
		}
		for _, q := range []kmsg.Request{
			&kmsg.FetchRequest{Version: 12, ReplicaID: -1, MaxBytes: 1, SessionEpoch: -1, Topics: []kmsg.FetchRequestTopic{{Topic: "target", Partitions: []kmsg.FetchRequestTopicPartition{{Partition: partition, PartitionMaxBytes: 1}}}}},
			&kmsg.ListOffsetsRequest{Version: 6, ReplicaID: -1, Topics: []kmsg.ListOffsetsRequestTopic{{Topic: "target", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Partition: partition, Timestamp: -1}}}}},
			&kmsg.DeleteRecordsRequest{Version: 2, TimeoutMillis: 1000, Topics: []kmsg.DeleteRecordsRequestTopic{{Topic: "target", Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: -1}}}}},
			&kmsg.OffsetForLeaderEpochRequest{Version: 4, ReplicaID: -1, Topics: []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "target", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{Partition: partition}}}}},
			&kmsg.DescribeProducersRequest{Topics: []kmsg.DescribeProducersRequestTopic{{Topic: "target", Partitions: []int32{partition}}}},
		} {
			nc := w.dial()
			if _, err := ask(nc, q); err != nil {
				t.Errorf("%s of partition %d: %v", kmsg.NameForKey(q.Key()), partition, err)
			}
			_ = nc.Close()
		}
	}
	ends, err := kadm.NewClient(w.client).ListEndOffsets(t.Context(), "target")
	if o, _ := ends.Lookup("target", 0); err != nil || o.Offset > 3 {
		t.Errorf("the log ends at %d, only one batch was taken: %v", o.Offset, err)
	}
	w.checkWell()
}

// Names that would lead out of the data directory, or that no file system takes, are refused by every API that could make a topic; no file
// appears.
func TestTopicNamesThatArePathsAreRefused(t *testing.T) {
	outer := t.TempDir()
	w := startIn(t, filepath.Join(outer, "data"))
	names := []string{
		"/", "a/b", "../up", "..", ".", "../../etc/x", "/etc/passwd", "a\\b", "a\x00b", "\x00", "a b", "a\nb", "é", "\xff\xfe", "",
		strings.Repeat("x", 250), strings.Repeat("x", 30000), "a:b", "con?", "%2e%2e%2f", "~root", "$HOME", "a;b",
	}
	for _, name := range names {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version, create.TimeoutMillis = 7, 5000
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: name, NumPartitions: 1, ReplicationFactor: 1}}
		if a := request[*kmsg.CreateTopicsResponse](w, create).Topics[0]; a.ErrorCode != 17 || a.ErrorMessage == nil { // INVALID_TOPIC_EXCEPTION
			t.Errorf("create %.40q: code %d %v", name, a.ErrorCode, a.ErrorMessage)
		}
		metadata := kmsg.NewPtrMetadataRequest()
		metadata.Version, metadata.AllowAutoTopicCreation = 9, true
		metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
		if a := request[*kmsg.MetadataResponse](w, metadata).Topics[0]; a.ErrorCode == 0 || a.ErrorCode == 5 {
			t.Errorf("metadata of %.40q: code %d", name, a.ErrorCode)
		}
		if p := w.put(name, 0, batchOf(t, 1, 1)); p.ErrorCode == 0 {
			t.Errorf("produce to %.40q: code %d", name, p.ErrorCode)
		}
		partitions := kmsg.NewPtrCreatePartitionsRequest()
		partitions.Version, partitions.TimeoutMillis = 3, 5000
		partitions.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: name, Count: 2}}
		if a := request[*kmsg.CreatePartitionsResponse](w, partitions).Topics[0]; a.ErrorCode == 0 {
			t.Errorf("partitions of %.40q: code %d", name, a.ErrorCode)
		}
	}
	longest := strings.Repeat("x", 249)
	w.create(longest, 1)
	if p := w.put(longest, 0, batchOf(t, 1, 1)); p.ErrorCode != 0 {
		t.Errorf("produce to a name of 249 bytes: %s", codeOf(p))
	}
	if entries, err := os.ReadDir(outer); err != nil || len(entries) != 1 {
		t.Errorf("beside the data directory there is %v %v", entries, err)
	}
	w.checkWell()
}

// Counts that no cluster could have are refused before anything is made.
func TestImpossibleCountsAreRefused(t *testing.T) {
	w := start(t)
	w.create("target", 1)
	for _, n := range []int32{0, -2, -2147483648, 2147483647, 100_000_000} {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version, create.TimeoutMillis = 7, 5000
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "many", NumPartitions: n, ReplicationFactor: 1}}
		if a := request[*kmsg.CreateTopicsResponse](w, create).Topics[0]; a.ErrorCode == 0 || a.ErrorMessage == nil {
			t.Errorf("create with %d partitions: code %d", n, a.ErrorCode)
		}
		partitions := kmsg.NewPtrCreatePartitionsRequest()
		partitions.Version, partitions.TimeoutMillis = 3, 5000
		partitions.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "target", Count: n}}
		if a := request[*kmsg.CreatePartitionsResponse](w, partitions).Topics[0]; a.ErrorCode == 0 || a.ErrorMessage == nil {
			t.Errorf("raise to %d partitions: code %d", n, a.ErrorCode)
		}
	}
	for _, n := range []int16{0, -2, -32768, 2, 32767} {
		create := kmsg.NewPtrCreateTopicsRequest()
		create.Version, create.TimeoutMillis = 7, 5000
		create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "many", NumPartitions: 1, ReplicationFactor: n}}
		if a := request[*kmsg.CreateTopicsResponse](w, create).Topics[0]; a.ErrorCode == 0 || a.ErrorMessage == nil {
			t.Errorf("create with %d replicas: code %d", n, a.ErrorCode)
		}
	}
	if now := w.vitals(); now.rss > w.before.rss+32<<20 {
		t.Errorf("resident memory rose from %d to %d MiB", w.before.rss>>20, now.rss>>20)
	}
	w.checkWell()
}
