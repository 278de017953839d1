package txn

import (
	"fmt"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

// Record is a record of __transaction_state: what became of a transactional id. It is Kafka's TransactionLogKey and TransactionLogValue.
type Record struct {
	ID          string
	Transaction *Transaction // nil: the id has expired
}

var _ coordinator.Record = Record{}

const (
	keyType      = 0 // TransactionLogKey
	valueVersion = 1 // as with transaction.version 1 and 2
)

// Tagged fields of the value. Kafka passes over the last one, which is ours: only with it a producer that lost the answer to
// InitProducerId gets it again from a coordinator that has been loaded since.
const (
	tagPreviousID    = 0
	tagNextID        = 1
	tagClientVersion = 2
	tagNextEpoch     = 3
	tagLastEpoch     = 1000
)

// AppendKey implements coordinator.Record.
func (r Record) AppendKey(dst []byte) []byte {
	return wire.AppendString(wire.AppendInt16(dst, keyType), r.ID, false)
}

// AppendValue implements coordinator.Record.
func (r Record) AppendValue(dst []byte) ([]byte, bool) {
	t := r.Transaction
	if t == nil {
		return dst, false
	}
	dst = wire.AppendInt16(dst, valueVersion)
	dst = wire.AppendInt64(dst, int64(t.ProducerID))
	dst = wire.AppendInt16(dst, int16(t.Epoch))
	dst = wire.AppendInt32(dst, t.Timeout)
	dst = wire.AppendInt8(dst, int8(t.State))
	dst = appendPartitions(dst, t)
	dst = wire.AppendInt64(dst, int64(t.Updated))
	dst = wire.AppendInt64(dst, int64(t.Started))
	return appendTags(dst, t), true
}

// appendPartitions appends the partitions by topic; null in Empty, as Kafka does.
func appendPartitions(dst []byte, t *Transaction) []byte {
	if t.State == Empty {
		return wire.AppendUvarint(dst, 0)
	}
	topics := 0
	for i := range t.Partitions {
		if i == 0 || t.Partitions[i].Topic != t.Partitions[i-1].Topic {
			topics++
		}
	}
	dst = wire.AppendCount(dst, topics, true)
	for rest := t.Partitions; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Topic == rest[0].Topic {
			n++
		}
		dst = wire.AppendString(dst, rest[0].Topic, true)
		dst = wire.AppendCount(dst, n, true)
		for _, tp := range rest[:n] {
			dst = wire.AppendInt32(dst, tp.Partition)
		}
		dst = wire.AppendNoTags(dst, true)
		rest = rest[n:]
	}
	return dst
}

func appendTags(dst []byte, t *Transaction) []byte {
	var tags [5]struct {
		tag, size uint32
		value     int64
	}
	n := 0
	add := func(tag, size uint32, value, usual int64) {
		if value != usual {
			tags[n].tag, tags[n].size, tags[n].value = tag, size, value
			n++
		}
	}
	add(tagPreviousID, 8, int64(t.PreviousID), int64(kafka.NoProducer))
	add(tagNextID, 8, int64(t.NextID), int64(kafka.NoProducer))
	add(tagClientVersion, 2, int64(t.ClientVersion), 0)
	add(tagNextEpoch, 2, int64(t.NextEpoch), int64(noEpoch))
	add(tagLastEpoch, 2, int64(t.LastEpoch), int64(t.usualLastEpoch()))
	dst = wire.AppendUvarint(dst, uint32(n))
	for _, f := range tags[:n] {
		dst = wire.AppendUvarint(wire.AppendUvarint(dst, f.tag), f.size)
		if f.size == 8 {
			dst = wire.AppendInt64(dst, f.value)
		} else {
			dst = wire.AppendInt16(dst, int16(f.value))
		}
	}
	return dst
}

// usualLastEpoch is the last epoch of a record that does not tell it: with version 2 the end of a transaction raised the epoch by one.
func (t *Transaction) usualLastEpoch() kafka.ProducerEpoch {
	switch {
	case t.ClientVersion < Version2 || t.State == Empty || t.State == Ongoing:
		return noEpoch
	case t.Epoch == 0:
		return lastUsable
	}
	return t.Epoch - 1
}

// Decode implements coordinator.Shard: (nil, nil) for a kind of record that this build does not know. What it returns aliases nothing.
func Decode(key, value []byte) (coordinator.Record, error) {
	r := wire.NewReader(key)
	if kind := r.Int16(); r.Err() == nil && kind != keyType {
		return nil, nil
	}
	id := string(r.String(false))
	if r.Err() != nil || r.Left() > 0 {
		return nil, fmt.Errorf("a key of the transaction log is malformed: %x", key[:min(len(key), 64)])
	}
	if value == nil {
		return Record{ID: id}, nil
	}
	t, err := decodeValue(value)
	if err != nil {
		return nil, fmt.Errorf("transactional id %q: %w", id, err)
	}
	return Record{ID: id, Transaction: t}, nil
}

func decodeValue(value []byte) (*Transaction, error) {
	r := wire.NewReader(value)
	version := r.Int16()
	if version < 0 || version > valueVersion {
		return nil, fmt.Errorf("its record has version %d, this build reads 0 to %d", version, valueVersion)
	}
	flexible := version >= 1
	t := &Transaction{PreviousID: kafka.NoProducer, NextID: kafka.NoProducer, NextEpoch: noEpoch}
	t.ProducerID = kafka.ProducerID(r.Int64())
	t.Epoch = kafka.ProducerEpoch(r.Int16())
	t.Timeout = r.Int32()
	t.State = State(r.Int8())
	decodePartitions(&r, flexible, t)
	t.Updated = kafka.Timestamp(r.Int64())
	t.Started = kafka.Timestamp(r.Int64())
	if flexible {
		decodeTags(&r, t)
	} else {
		t.LastEpoch = noEpoch
	}
	switch {
	case r.Err() != nil || r.Left() > 0:
		return nil, fmt.Errorf("its record is malformed: %w", wire.ErrMalformed)
	case !t.State.isKnown() || t.State == Dead || t.State == PrepareEpochFence:
		return nil, fmt.Errorf("its record has state %d, which is never stored", t.State)
	case t.ProducerID < 0 || t.Epoch < 0 || t.Timeout < 0:
		return nil, fmt.Errorf("its record has producer %d, epoch %d, time-out %d ms: none may be negative", t.ProducerID, t.Epoch, t.Timeout)
	}
	return t, nil
}

func decodePartitions(r *wire.Reader, flexible bool, t *Transaction) {
	for range r.Count(flexible, 3) {
		topic := string(r.String(flexible))
		n := r.Count(flexible, 4)
		for range n {
			t.Partitions = append(t.Partitions, kafka.TopicPartition{Topic: topic, Partition: r.Int32()})
		}
		if flexible {
			r.SkipTags()
		}
	}
	if t.State == Empty {
		t.Partitions = nil
	}
	t.Partitions = union(t.Partitions, nil)
}

func decodeTags(r *wire.Reader, t *Transaction) {
	told, bad := false, false
	r.Tags(func(tag uint32, value []byte) {
		f := wire.NewReader(value)
		switch tag {
		case tagPreviousID:
			t.PreviousID = kafka.ProducerID(f.Int64())
		case tagNextID:
			t.NextID = kafka.ProducerID(f.Int64())
		case tagClientVersion:
			t.ClientVersion = f.Int16()
		case tagNextEpoch:
			t.NextEpoch = kafka.ProducerEpoch(f.Int16())
		case tagLastEpoch:
			t.LastEpoch, told = kafka.ProducerEpoch(f.Int16()), true
		default:
			return
		}
		bad = bad || f.Err() != nil || f.Left() > 0
	})
	if !told {
		t.LastEpoch = t.usualLastEpoch()
	}
	if bad {
		r.Span(r.Left() + 1)
	}
}
