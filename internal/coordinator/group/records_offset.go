package group

import (
	"strings"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeLegacyOffsetCommit] = decodeOffsetCommit
	decoders[typeOffsetCommit] = decodeOffsetCommit
}

// offsetCommit is a committed offset, or the tombstone of one (types 0 and 1; only 1 is written). It is what the store keeps, so nothing of
// it changes once it has been folded.
type offsetCommit struct {
	group string
	offsetKey
	gone        bool
	leaderEpoch kafka.LeaderEpoch
	offset      kafka.Offset
	metadata    string
	committed   kafka.Timestamp
	expires     kafka.Timestamp // NoTimestamp: by the group's retention
	topicID     kafka.UUID      // zero: not known
	order       int64           // in which the log has the records; set when it is folded
	legacy      bool            // was read as type 0
}

// offsetKey is the partition that an offset is of.
type offsetKey struct {
	topic     string
	partition int32
}

func (r *offsetCommit) AppendKey(dst []byte) []byte {
	t := typeOffsetCommit
	if r.legacy {
		t = typeLegacyOffsetCommit
	}
	return wire.AppendInt32(appendKey(dst, t, r.group, r.topic), r.partition)
}

// AppendValue writes version 4 when the topic's id is known and 3 when it is not, as Kafka 4.4; a commit with a time of its own to expire
// has that only in version 1, which has no leader epoch.
func (r *offsetCommit) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	version := int16(3)
	switch {
	case r.expires != kafka.NoTimestamp:
		version = 1
	case !r.topicID.IsZero():
		version = 4
	}
	flexible := version >= 4
	dst = wire.AppendInt16(dst, version)
	dst = wire.AppendInt64(dst, int64(r.offset))
	if version >= 3 {
		dst = wire.AppendInt32(dst, int32(r.leaderEpoch))
	}
	dst = wire.AppendString(dst, r.metadata, flexible)
	dst = wire.AppendInt64(dst, int64(r.committed))
	if version == 1 {
		dst = wire.AppendInt64(dst, int64(r.expires))
	}
	if flexible {
		dst = append(dst, 1, 0, 16) // one tag, number 0, sixteen bytes
		dst = append(dst, r.topicID[:]...)
	}
	return dst, true
}

func (r *offsetCommit) replay(s *Shard, p coordinator.Producer) { s.foldOffset(r, p) }

func decodeOffsetCommit(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &offsetCommit{leaderEpoch: kafka.NoEpoch, expires: kafka.NoTimestamp, gone: value == nil}
	r.group, r.topic, r.partition = string(key.String(false)), string(key.String(false)), key.Int32()
	if r.gone {
		return r, nil
	}
	if version < 0 || version > 4 {
		return nil, errRecordVersion
	}
	r.offset = kafka.Offset(value.Int64())
	if version >= 3 {
		r.leaderEpoch = kafka.LeaderEpoch(value.Int32())
	}
	r.metadata = string(value.String(version >= 4))
	r.committed = kafka.Timestamp(value.Int64())
	if version == 1 {
		r.expires = kafka.Timestamp(value.Int64())
	}
	if version >= 4 {
		value.Tags(func(tag uint32, b []byte) {
			if tag == 0 && len(b) == 16 {
				r.topicID = kafka.UUID(b)
			}
		})
	}
	return r, nil
}

// owned copies a string that may lie in a request's bytes, which are used again (WIR-3).
func owned(s *string) string {
	if s == nil {
		return ""
	}
	return strings.Clone(*s)
}
