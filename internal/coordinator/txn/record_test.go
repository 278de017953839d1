package txn

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
)

// kafkaRecords are what Kafka 4.4's own TransactionLogKey and TransactionLogValue write: name, key, value.
func kafkaRecords(t testing.TB) (list [][3]string) {
	f, err := os.Open("testdata/kafka-4.4-records.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		f := strings.Fields(lines.Text())
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

func TestRecordsAreKafkas(t *testing.T) {
	for _, l := range kafkaRecords(t) {
		t.Run(l[0], func(t *testing.T) {
			key, value := unhex(t, l[1]), unhex(t, l[2])
			r, err := Decode(key, value)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.AppendKey(nil); !bytes.Equal(got, key) {
				t.Errorf("key is %x, Kafka's is %x", got, key)
			}
			got, ok := r.AppendValue(nil)
			if ok != (value != nil) {
				t.Fatalf("has a value: %v", ok)
			}
			if strings.HasPrefix(l[0], "value0") {
				// The older version is read and never written; what it says survives.
				again, err := Decode(key, got)
				if err != nil || !reflect.DeepEqual(again, r) {
					t.Errorf("read as %+v, then %+v (%v)", r, again, err)
				}
				return
			}
			if !bytes.Equal(got, value) {
				t.Errorf("value is %x\n     Kafka's is %x", got, value)
			}
		})
	}
}

func TestDecodeTellsFields(t *testing.T) {
	for _, l := range kafkaRecords(t) {
		if l[0] != "prepare-abort-exhausted" {
			continue
		}
		r, err := Decode(unhex(t, l[1]), unhex(t, l[2]))
		if err != nil {
			t.Fatal(err)
		}
		want := Record{ID: "app", Transaction: &Transaction{
			ProducerID: 4000, PreviousID: 4000, NextID: 5000, Epoch: 32767, LastEpoch: 32766, NextEpoch: -1, Timeout: 60_000,
			State: PrepareAbort, Partitions: []kafka.TopicPartition{tp("orders", 0)}, Started: 1700000000450, Updated: 1700000000457, ClientVersion: 2,
		}}
		if !reflect.DeepEqual(r, want) {
			t.Errorf("got %+v", r.(Record).Transaction)
		}
	}
}

func TestOwnTagKeepsLastEpoch(t *testing.T) {
	want := Record{ID: "app", Transaction: &Transaction{ProducerID: 1, PreviousID: 1, NextID: kafka.NoProducer, NextEpoch: noEpoch, Epoch: 6, LastEpoch: 5, Started: -1}}
	value, _ := want.AppendValue(nil)
	got, err := Decode(want.AppendKey(nil), value)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodeRefusesWhatIsNeverStored(t *testing.T) {
	good := Transaction{ProducerID: 1, Epoch: 1, State: Ongoing}
	for name, change := range map[string]func(*Transaction){
		"dead":              func(t *Transaction) { t.State = Dead },
		"fence":             func(t *Transaction) { t.State = PrepareEpochFence },
		"unknown state":     func(t *Transaction) { t.State = 8 },
		"negative state":    func(t *Transaction) { t.State = -1 },
		"negative epoch":    func(t *Transaction) { t.Epoch = -1 },
		"negative producer": func(t *Transaction) { t.ProducerID = -1 },
	} {
		bad := good
		change(&bad)
		r := Record{ID: "x", Transaction: &bad}
		value, _ := r.AppendValue(nil)
		if _, err := Decode(r.AppendKey(nil), value); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
	if r, err := Decode([]byte{0, 1, 0, 0}, nil); r != nil || err != nil {
		t.Errorf("a key of another type gives %v, %v", r, err)
	}
	if _, err := Decode([]byte{0, 0, 0, 3, 'a', 'p', 'p'}, []byte{0, 2, 0}); err == nil {
		t.Error("a value of version 2 is read")
	}
}

// FuzzDecode: nothing that is read makes the decoder fail otherwise than by an error, and what it read is what it writes.
func FuzzDecode(f *testing.F) {
	for _, l := range kafkaRecords(f) {
		f.Add(unhex(f, l[1]), unhex(f, l[2]))
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := Decode(key, value)
		if err != nil || r == nil {
			return
		}
		again, ok := r.AppendValue(nil)
		if !ok {
			again = nil
		}
		back, err := Decode(r.AppendKey(nil), again)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%+v became %+v, %v", r, back, err)
		}
	})
}
