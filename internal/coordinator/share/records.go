package share

import (
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

// The record types of __share_group_state in Kafka 4.4 (CoordinatorRecordType of the share coordinator).
const (
	typeSnapshot int16 = 0
	typeUpdate   int16 = 1
)

// stateKey is the share-partition that a record is of.
type stateKey struct {
	group     string
	topic     kafka.UUID
	partition int32
}

// snapshot is all of a share-partition's state (type 0), or the tombstone of it.
type snapshot struct {
	key    stateKey
	isGone bool
	epoch  int32 // rises with each snapshot
	stateValue
	stateEpoch           int32
	createdAt, writtenAt kafka.Timestamp
}

// update is what changed since the snapshot of that epoch (type 1). Its start offset may be -1: not changed.
type update struct {
	key   stateKey
	epoch int32
	stateValue
}

// stateValue is what both have. Batches of a record are never changed: the state keeps them.
type stateValue struct {
	leaderEpoch      kafka.LeaderEpoch
	start            kafka.Offset
	deliveryComplete int32 // -1: not known
	batches          []StateBatch
}

func (k stateKey) append(dst []byte, typ int16) []byte {
	dst = wire.AppendInt16(dst, typ)
	dst = wire.AppendString(dst, k.group, false)
	dst = append(dst, k.topic[:]...)
	return wire.AppendInt32(dst, k.partition)
}

func (r *snapshot) AppendKey(dst []byte) []byte { return r.key.append(dst, typeSnapshot) }
func (r *update) AppendKey(dst []byte) []byte   { return r.key.append(dst, typeUpdate) }

// AppendValue writes version 0.
func (r *snapshot) AppendValue(dst []byte) ([]byte, bool) {
	if r.isGone {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 0)
	dst = wire.AppendInt32(dst, r.epoch)
	dst = wire.AppendInt32(dst, r.stateEpoch)
	dst = wire.AppendInt32(dst, int32(r.leaderEpoch))
	dst = wire.AppendInt64(dst, int64(r.start))
	dst = wire.AppendInt64(dst, int64(r.createdAt))
	dst = wire.AppendInt64(dst, int64(r.writtenAt))
	return r.appendEnd(dst), true
}

// AppendValue writes version 0.
func (r *update) AppendValue(dst []byte) ([]byte, bool) {
	dst = wire.AppendInt16(dst, 0)
	dst = wire.AppendInt32(dst, r.epoch)
	dst = wire.AppendInt32(dst, int32(r.leaderEpoch))
	dst = wire.AppendInt64(dst, int64(r.start))
	return r.appendEnd(dst), true
}

// appendEnd appends the batches, and tag 0 unless it has its default.
func (v *stateValue) appendEnd(dst []byte) []byte {
	dst = wire.AppendCount(dst, len(v.batches), true)
	for _, b := range v.batches {
		dst = wire.AppendInt64(dst, int64(b.First))
		dst = wire.AppendInt64(dst, int64(b.Last))
		dst = wire.AppendInt8(dst, int8(b.State))
		dst = wire.AppendInt16(dst, b.Count)
		dst = wire.AppendNoTags(dst, true)
	}
	if v.deliveryComplete == -1 {
		return wire.AppendNoTags(dst, true)
	}
	dst = append(dst, 1, 0, 4) // one tag, number 0, four bytes
	return wire.AppendInt32(dst, v.deliveryComplete)
}

// batchSize is what a batch takes in a record.
const batchSize = 8 + 8 + 1 + 2 + 1

func (v *stateValue) readEnd(r *wire.Reader) {
	if n := r.Count(true, batchSize); n > 0 {
		v.batches = make([]StateBatch, 0, n)
		for range n {
			v.batches = append(v.batches, StateBatch{kafka.Offset(r.Int64()), kafka.Offset(r.Int64()), RecordState(r.Int8()), r.Int16()})
			r.SkipTags()
		}
	}
	v.deliveryComplete = -1
	r.Tags(func(tag uint32, value []byte) {
		if tag == 0 {
			n := wire.NewReader(value)
			if v.deliveryComplete = n.Int32(); n.Err() != nil {
				v.deliveryComplete = -1
			}
		}
	})
}

// errRecordVersion is in the chain of an error about a value whose version this build does not know.
var errRecordVersion = errors.New("written by a newer version; start that version, or restore a backup of this one")

// Decode reads a record of __share_group_state. (nil, nil) is a type that this build does not know, which Kafka too skips.
func (s *Shard) Decode(key, value []byte) (coordinator.Record, error) {
	k := wire.NewReader(key)
	typ := k.Int16()
	if err := k.Err(); err != nil {
		return nil, fmt.Errorf("key of a share-group state record: %w", err)
	}
	if typ != typeSnapshot && typ != typeUpdate {
		return nil, nil
	}
	at := stateKey{group: string(k.String(false)), topic: k.UUID(), partition: k.Int32()}
	if k.Err() != nil || k.Left() > 0 {
		return nil, fmt.Errorf("key of a share-group state record of type %d: %w", typ, wire.ErrMalformed)
	}
	if value == nil {
		if typ == typeUpdate {
			return nil, nil // only snapshots have tombstones
		}
		return &snapshot{key: at, isGone: true}, nil
	}
	v := wire.NewReader(value)
	if version := v.Int16(); version != 0 {
		return nil, fmt.Errorf("share-group state record of type %d, version %d: %w", typ, version, errRecordVersion)
	}
	var r coordinator.Record
	if typ == typeSnapshot {
		n := &snapshot{key: at, epoch: v.Int32(), stateEpoch: v.Int32()}
		n.leaderEpoch, n.start = kafka.LeaderEpoch(v.Int32()), kafka.Offset(v.Int64())
		n.createdAt, n.writtenAt = kafka.Timestamp(v.Int64()), kafka.Timestamp(v.Int64())
		n.readEnd(&v)
		r = n
	} else {
		n := &update{key: at, epoch: v.Int32()}
		n.leaderEpoch, n.start = kafka.LeaderEpoch(v.Int32()), kafka.Offset(v.Int64())
		n.readEnd(&v)
		r = n
	}
	if v.Err() != nil || v.Left() > 0 {
		return nil, fmt.Errorf("value of a share-group state record of type %d: %w", typ, wire.ErrMalformed)
	}
	return r, nil
}
