package metadata

import (
	"bufio"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/records.golden anew")

func samples() []Record {
	value := "86400000"
	ids := []kafka.BrokerID{1, 2, 3}
	healthy := Partition{Replicas: ids, ISR: ids, Leader: 1}
	limping := Partition{Replicas: ids, ISR: ids[1:2], Leader: 2, LeaderEpoch: 300, PartitionEpoch: 7}
	moving := limping
	moving.ELR, moving.Adding, moving.Removing = ids[2:], ids[1:2], ids[:1]
	return []Record{
		&TopicRecord{ID: kafka.UUID{1, 2, 3}, Name: "orders", Partitions: []PartitionRun{{Count: 10_000, Partition: healthy}, {Count: 1, Partition: limping}}},
		&TopicRecord{ID: kafka.UUID{4}, Name: "__consumer_offsets", Internal: true},
		&PartitionRecord{TopicID: kafka.UUID{1, 2, 3}, First: 10_001, Runs: []PartitionRun{{Count: 2, Partition: healthy}}},
		&PartitionChangeRecord{TopicID: kafka.UUID{1, 2, 3}, Partition: 5, State: limping},
		&PartitionChangeRecord{TopicID: kafka.UUID{1, 2, 3}, Partition: 6, State: Partition{Replicas: ids, Leader: kafka.NoBroker}},
		&RemoveTopicRecord{ID: kafka.UUID{4}},
		&ConfigRecord{Resource: Resource{ResourceTopic, "orders"}, Name: "retention.ms", Value: &value},
		&ConfigRecord{Resource: Resource{ResourceBroker, ""}, Name: "log.retention.ms"},
		&BrokerRecord{Broker: Broker{ID: 1, Epoch: 44, Rack: "r", Fenced: true, Endpoints: []Endpoint{{"PLAINTEXT", "localhost", 9092}, {"SSL", "h", 9093}}}},
		&ClusterRecord{ID: "5L6g3nShT-eMCtK--X86sw"},
		&ProducerIDsRecord{Next: 3000},
		&FeatureLevelRecord{Name: FeatureVersion, Level: 1},
		&ControllerRecord{Controller: 1, Term: 12},
		&TopicRecord{ID: kafka.UUID{5}, Name: "moving", Partitions: []PartitionRun{{Count: 3, Partition: moving}}},
		&PartitionRecord{TopicID: kafka.UUID{5}, First: 3, Runs: []PartitionRun{{Count: 2, Partition: moving}}},
		&PartitionChangeRecord{TopicID: kafka.UUID{5}, Partition: 1, State: moving},
		&BrokerRecord{Broker: Broker{ID: 2, Epoch: 45, Incarnation: kafka.UUID{9, 9}, Peers: []string{"10.0.0.2:9094", "h:9094"}, ShuttingDown: true}},
		&BrokerRecord{Broker: Broker{ID: 3, Epoch: 46, Draining: true}},
		&RemoveBrokerRecord{ID: 3},
		&BrokerRecord{Broker: Broker{ID: 4, Epoch: 47, Incarnation: kafka.UUID{9}, Peers: []string{"h:1"}, Features: map[string]int16{FeatureVersion: 2, "a": 0}}},
	}
}

// The bytes of every record are frozen: a line that changes means that older data can no longer be read.
func TestRecordBytesAreFrozen(t *testing.T) {
	const path = "testdata/records.golden"
	var got strings.Builder
	for _, r := range samples() {
		fmt.Fprintf(&got, "%T %s\n", r, hex.EncodeToString(AppendRecords(nil, []Record{r})))
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Fatalf("got\n%s\nwant\n%s", got.String(), want)
	}
	lines := bufio.NewScanner(strings.NewReader(string(want)))
	for _, r := range samples() {
		lines.Scan()
		_, text, _ := strings.Cut(lines.Text(), " ")
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeRecords(b)
		if err != nil || len(back) != 1 || !reflect.DeepEqual(back[0], r) {
			t.Fatalf("%s\nreads as %+v (%v), want %+v", lines.Text(), back, err, r)
		}
	}
}

// MET-3: what a newer build wrote is refused as a whole, not skipped.
func TestUnknownTypesAndVersionsAreRefused(t *testing.T) {
	good := AppendRecords(nil, []Record{&ClusterRecord{ID: "c"}})
	for name, b := range map[string][]byte{
		"type":    {1, 99, 1, 0},
		"version": {1, byte(kindCluster), 2, 2, 1, 'c'},
		"second":  append([]byte{2}, append(good[1:len(good):len(good)], 77, 1, 0)...),
	} {
		records, err := DecodeRecords(b)
		if !errors.Is(err, ErrUnknownRecord) || records != nil {
			t.Errorf("%s: %v, %v", name, records, err)
		}
	}
}

func TestMalformedRecordsAreRefused(t *testing.T) {
	whole := AppendRecords(nil, samples())
	for cut := range whole {
		if _, err := DecodeRecords(whole[:cut]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
	}
	for name, b := range map[string][]byte{
		"bytes left over":         append(whole[:len(whole):len(whole)], 0),
		"body longer than fields": {1, byte(kindCluster), 1, 3, 1, 'c', 0},
		"a million records":       {0xc0, 0x84, 0x3d},
		"boolean of 2":            {1, byte(kindConfig), 1, 5, 2, 1, 'a', 0, 2},
		"port out of range":       {1, byte(kindBroker), 1, 10, 2, 0, 0, 0, 1, 0, 0, 0x80, 0x80, 0x7f},
	} {
		if _, err := DecodeRecords(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the bytes: no panic, no memory beyond a small multiple of them, and what decodes is encoded and decoded to itself.
func FuzzDecodeRecords(f *testing.F) {
	f.Add(AppendRecords(nil, samples()))
	for _, r := range samples() {
		f.Add(AppendRecords(nil, []Record{r}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := DecodeRecords(b)
		if err != nil {
			return
		}
		again, err := DecodeRecords(AppendRecords(nil, records))
		if err != nil || !reflect.DeepEqual(records, again) {
			t.Fatalf("%x decodes to %+v, and its encoding to %+v (%v)", b, records, again, err)
		}
		if partitionsIn(records) < 10_000 {
			_, _, _ = Fold(Empty(), records)
		}
	})
}

// partitionsIn keeps the fuzzer from spending its time on making partitions: the store's checksums, not Fold, keep such records out.
func partitionsIn(records []Record) (n int) {
	for _, r := range records {
		var runs []PartitionRun
		switch r := r.(type) {
		case *TopicRecord:
			runs = r.Partitions
		case *PartitionRecord:
			runs = r.Runs
		}
		for _, run := range runs {
			n += int(run.Count)
		}
	}
	return n
}
