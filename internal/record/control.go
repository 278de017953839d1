package record

import (
	"encoding/binary"

	"github.com/rafka-io/rafka/internal/kafka"
)

// ControlType is the kind of a control record, the second half of its key.
type ControlType int16

// The control records of Kafka. Only the first two stand in topics of users; the others in Kafka's own metadata log.
const (
	AbortMarker         ControlType = 0
	CommitMarker        ControlType = 1
	LeaderChange        ControlType = 2
	SnapshotHeader      ControlType = 3
	SnapshotFooter      ControlType = 4
	KRaftVersionControl ControlType = 5
	KRaftVotersControl  ControlType = 6

	// HeldRecords is ours: records whose time has not come (Held). Clients skip control records of types that they do not know.
	HeldRecords ControlType = 0x7261
)

// ParseControlKey reads the key of a control record: version 2 bytes, type 2 bytes. Types unknown here are returned as they are, for readers
// skip them.
func ParseControlKey(key []byte) (ControlType, error) {
	if len(key) < 4 {
		return 0, kafka.Errorf(kafka.CorruptMessage, "the key of a control record has %d bytes, not 4", len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return 0, kafka.Errorf(kafka.CorruptMessage, "a control record has version %d", version)
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// EndTxnMarker ends a transaction in a partition.
type EndTxnMarker struct {
	Commit           bool  // false: the transaction was aborted
	CoordinatorEpoch int32 // fences older transaction coordinators
}

// Type is the marker's control type.
func (m EndTxnMarker) Type() ControlType {
	if m.Commit {
		return CommitMarker
	}
	return AbortMarker
}

// BuildEndTxnMarker appends to dst the batch of a marker: one record whose key is version and type, and whose value is version and
// coordinator epoch. Of o, the offset, the leader epoch, the producer and its epoch count; a marker has no sequence.
func BuildEndTxnMarker(dst []byte, o BatchOptions, m EndTxnMarker, now kafka.Timestamp) ([]byte, error) {
	var key [4]byte // version 0
	binary.BigEndian.PutUint16(key[2:], uint16(m.Type()))
	var value [6]byte // version 0
	binary.BigEndian.PutUint32(value[2:], uint32(m.CoordinatorEpoch))
	o.Codec, o.TimestampType, o.BaseSequence = None, CreateTime, kafka.NoSequence
	o.Transactional, o.Control = true, true
	o.DeleteHorizon, o.LastOffsetDelta = kafka.NoTimestamp, -1
	recs := [1]Record{{Key: key[:], Value: value[:], Offset: o.BaseOffset, Timestamp: now}}
	return Build(dst, o, recs[:])
}

// ParseEndTxnMarker reads the marker in a record of a control batch; ok is false for control records of other types.
func ParseEndTxnMarker(r *Record) (m EndTxnMarker, ok bool, err error) {
	t, err := ParseControlKey(r.Key)
	if err != nil || t != CommitMarker && t != AbortMarker {
		return m, false, err
	}
	if len(r.Value) < 6 {
		return m, false, kafka.Errorf(kafka.CorruptMessage, "the transaction marker at offset %d has a value of %d bytes, not 6", r.Offset, len(r.Value))
	}
	if version := int16(binary.BigEndian.Uint16(r.Value)); version < 0 {
		return m, false, kafka.Errorf(kafka.CorruptMessage, "the transaction marker at offset %d has version %d", r.Offset, version)
	}
	return EndTxnMarker{Commit: t == CommitMarker, CoordinatorEpoch: int32(binary.BigEndian.Uint32(r.Value[2:]))}, true, nil
}
