package group

import (
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/wire"
)

// recordType is the number that a record's key begins with.
type recordType int16

// The types of Kafka 4.4 (CoordinatorRecordType). Each is read by the file that writes it, which registers its decoder in decoders.
const (
	typeLegacyOffsetCommit   recordType = 0
	typeOffsetCommit         recordType = 1
	typeGroupMetadata        recordType = 2
	typeConsumerMetadata     recordType = 3
	typeConsumerPartitions   recordType = 4 // no longer written
	typeConsumerMember       recordType = 5
	typeConsumerTarget       recordType = 6
	typeConsumerTargetMember recordType = 7
	typeConsumerCurrent      recordType = 8
	typeShareMember          recordType = 10
	typeShareMetadata        recordType = 11
	typeShareTarget          recordType = 12
	typeShareTargetMember    recordType = 13
	typeShareCurrent         recordType = 14
	typeShareStatePartitions recordType = 15
	typeConsumerRegex        recordType = 16
	typeStreamsMetadata      recordType = 17
	typeStreamsMember        recordType = 19
	typeStreamsTarget        recordType = 20
	typeStreamsTargetMember  recordType = 21
	typeStreamsCurrent       recordType = 22
	typeStreamsTopology      recordType = 23
)

// record is a record that folds itself into a shard.
type record interface {
	coordinator.Record
	replay(s *Shard, p coordinator.Producer)
}

// decoder makes a record of one type of a key, whose type has been read, and of a value, whose version has been read. A tombstone has a nil
// value. What it keeps it copies; reading past the end or leaving bytes over is noticed by Decode.
type decoder func(key *wire.Reader, version int16, value *wire.Reader) (record, error)

// decoders by type. A file that owns a type enters its own in an init function: three families of groups share the table.
var decoders = map[recordType]decoder{}

// errRecordVersion is in the chain of an error about a value whose version this build does not know.
var errRecordVersion = errors.New("written by a newer version; start that version, or restore a backup of this one")

// Decode reads a record of __consumer_offsets (GRP-6). (nil, nil) is a type that this build does not know, which Kafka too skips.
func (s *Shard) Decode(key, value []byte) (coordinator.Record, error) {
	k := wire.NewReader(key)
	t := recordType(k.Int16())
	if err := k.Err(); err != nil {
		return nil, fmt.Errorf("key of a record of a group: %w", err)
	}
	decode := decoders[t]
	if decode == nil {
		return nil, nil
	}
	var v *wire.Reader
	version := int16(-1)
	if value != nil {
		r := wire.NewReader(value)
		version, v = r.Int16(), &r
		if err := r.Err(); err != nil {
			return nil, fmt.Errorf("value of a record of type %d: %w", t, err)
		}
	}
	r, err := decode(&k, version, v)
	switch {
	case err != nil:
		return nil, fmt.Errorf("record of type %d, version %d: %w", t, version, err)
	case k.Err() != nil || k.Left() > 0:
		return nil, fmt.Errorf("key of a record of type %d: %w", t, wire.ErrMalformed)
	case v != nil && (v.Err() != nil || v.Left() > 0):
		return nil, fmt.Errorf("value of a record of type %d, version %d: %w", t, version, wire.ErrMalformed)
	}
	return r, nil
}

// appendKey begins a key.
func appendKey(dst []byte, t recordType, names ...string) []byte {
	dst = wire.AppendInt16(dst, int16(t))
	for _, name := range names {
		dst = wire.AppendString(dst, name, false)
	}
	return dst
}

// nullable reads a string that may be null.
func nullable(r *wire.Reader, flexible bool) *string {
	b := r.NullableString(flexible)
	if b == nil {
		return nil
	}
	s := string(b)
	return &s
}

// appendNullable appends a string that may be null.
func appendNullable(dst []byte, s *string, flexible bool) []byte {
	if s == nil {
		return wire.AppendNull(dst, flexible)
	}
	return wire.AppendString(dst, *s, flexible)
}
