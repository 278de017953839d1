package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
)

// ErrUnknownRecord is in the chain of every error about a record type, record version or feature that this build does not know.
// Whoever meets it stops before applying anything (MET-3): the data was written by a newer Rafka, which is what must read it.
var ErrUnknownRecord = errors.New("written by a newer version of Rafka; start that version, or restore a backup made by this one")

// ErrMalformed is in the chain of every error about bytes that are no encoding of records.
var ErrMalformed = errors.New("malformed metadata records")

// DecodeRecords reads what AppendRecords wrote; b must hold nothing else. The records do not alias b. Errors: ErrUnknownRecord,
// ErrMalformed.
func DecodeRecords(b []byte) ([]Record, error) {
	d := decoder{b: b}
	records := make([]Record, d.count(3))
	for i := range records {
		k, v := kind(d.uvarint()), d.uvarint()
		body := decoder{b: d.take(d.count(1))}
		if d.err != nil {
			break
		}
		r, err := decodeRecord(k, v, &body)
		if err != nil {
			return nil, fmt.Errorf("metadata record %d of %d: %w", i+1, len(records), err)
		}
		records[i] = r
	}
	if d.finish(); d.err != nil {
		return nil, d.err
	}
	return records, nil
}

func decodeRecord(k kind, v uint64, d *decoder) (Record, error) {
	if v < 1 || v > latestVersion(k) {
		return nil, fmt.Errorf("type %d has version %d, known are those up to %d: %w", k, v, latestVersion(k), ErrUnknownRecord)
	}
	var r Record
	switch k {
	case kindTopic:
		r = &TopicRecord{ID: d.uuid(), Name: d.string(), Internal: d.bool(), Partitions: d.runs(v)}
	case kindPartitions:
		r = &PartitionRecord{TopicID: d.uuid(), First: d.int32(), Runs: d.runs(v)}
	case kindPartitionChange:
		r = &PartitionChangeRecord{TopicID: d.uuid(), Partition: d.int32(), State: d.partition(v)}
	case kindRemoveTopic:
		r = &RemoveTopicRecord{ID: d.uuid()}
	case kindConfig:
		r = d.config()
	case kindBroker:
		r = d.broker(v)
	case kindRemoveBroker:
		r = &RemoveBrokerRecord{ID: kafka.BrokerID(d.int32())}
	case kindCluster:
		r = &ClusterRecord{ID: d.string()}
	case kindProducerIDs:
		r = &ProducerIDsRecord{Next: kafka.ProducerID(d.varint())}
	case kindFeatureLevel:
		r = &FeatureLevelRecord{Name: d.string(), Level: int16(d.ranged(0, math.MaxInt16))}
	case kindController:
		r = &ControllerRecord{Controller: kafka.BrokerID(d.int32()), Term: d.varint()}
	default:
		return nil, fmt.Errorf("type %d: %w", k, ErrUnknownRecord)
	}
	if d.finish(); d.err != nil {
		return nil, fmt.Errorf("type %d: %w", k, d.err)
	}
	return r, nil
}

// decoder reads from b and remembers the first error, after which everything reads as zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	d.b = nil
}

// finish requires that everything was read: a body longer than its fields is not of the version it claims.
func (d *decoder) finish() {
	if d.err == nil && len(d.b) > 0 {
		d.fail(fmt.Sprintf("%d bytes left over", len(d.b)))
	}
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) ranged(low, high int64) int64 {
	v := d.varint()
	if d.err == nil && (v < low || v > high) {
		d.fail(fmt.Sprintf("%d is not within %d..%d", v, low, high))
		return 0
	}
	return v
}

func (d *decoder) int32() int32 { return int32(d.ranged(math.MinInt32, math.MaxInt32)) }

// count reads the length of a list whose elements take at least size bytes each, and refuses one that the rest of b cannot hold,
// so no length makes this node reserve more memory than a small multiple of the bytes it was given.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail(fmt.Sprintf("a list of %d does not fit into %d bytes", n, len(d.b)))
		return 0
	}
	return int(n)
}

// take returns the next n bytes, which count has checked.
func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail(fmt.Sprintf("%d bytes wanted, %d left", n, len(d.b)))
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) string() string { return string(d.take(d.count(1))) }

func (d *decoder) bool() bool {
	b := d.take(1)
	if len(b) == 1 && b[0] > 1 {
		d.fail(fmt.Sprintf("%d is no boolean", b[0]))
	}
	return len(b) == 1 && b[0] == 1
}

func (d *decoder) uuid() (id kafka.UUID) {
	copy(id[:], d.take(len(id)))
	return id
}

func (d *decoder) brokers() []kafka.BrokerID {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	ids := make([]kafka.BrokerID, n)
	for i := range ids {
		ids[i] = kafka.BrokerID(d.int32())
	}
	return ids
}

func (d *decoder) partition(v uint64) Partition {
	p := Partition{Replicas: d.brokers()}
	p.ISR = p.Replicas
	if d.bool() {
		p.ISR = d.brokers()
	}
	p.Leader = kafka.BrokerID(d.int32())
	p.LeaderEpoch = kafka.LeaderEpoch(d.int32())
	p.PartitionEpoch = d.int32()
	if v > 1 {
		p.ELR, p.Adding, p.Removing = d.brokers(), d.brokers(), d.brokers()
	}
	return p
}

func (d *decoder) runs(v uint64) []PartitionRun {
	n := d.count(6)
	if n == 0 {
		return nil
	}
	runs := make([]PartitionRun, n)
	for i := range runs {
		runs[i] = PartitionRun{Count: int32(d.ranged(1, MaxPartitions)), Partition: d.partition(v)}
	}
	return runs
}

func (d *decoder) config() *ConfigRecord {
	r := &ConfigRecord{}
	if b := d.take(1); len(b) == 1 {
		r.Resource.Type = ResourceType(b[0])
	}
	r.Resource.Name = d.string()
	r.Name = d.string()
	if d.bool() {
		v := d.string()
		r.Value = &v
	}
	return r
}

func (d *decoder) broker(v uint64) *BrokerRecord {
	b := Broker{ID: kafka.BrokerID(d.int32()), Epoch: d.varint(), Rack: d.string(), Fenced: d.bool()}
	if n := d.count(3); n > 0 {
		b.Endpoints = make([]Endpoint, n)
		for i := range b.Endpoints {
			b.Endpoints[i] = Endpoint{Listener: d.string(), Host: d.string(), Port: int32(d.ranged(0, math.MaxUint16))}
		}
	}
	if v > 1 {
		b.Incarnation = d.uuid()
		if n := d.count(1); n > 0 {
			b.Peers = make([]string, n)
			for i := range b.Peers {
				b.Peers[i] = d.string()
			}
		}
		b.ShuttingDown, b.Draining = d.bool(), d.bool()
	}
	if v > 2 {
		n := d.count(2)
		b.Features = make(map[string]int16, n)
		for last := ""; n > 0; n-- {
			name := d.string()
			if name <= last && len(b.Features) > 0 {
				d.fail("features out of order")
			}
			b.Features[name] = int16(d.ranged(0, math.MaxInt16))
			last = name
		}
	}
	return &BrokerRecord{Broker: b}
}
