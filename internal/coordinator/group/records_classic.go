package group

import (
	"bytes"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() { decoders[typeGroupMetadata] = decodeGroupMetadata }

// groupMetadata is a generation of a classic group, or the tombstone of a group (type 2).
type groupMetadata struct {
	group        string
	gone         bool
	protocolType string // "": none
	generation   int32
	protocol     *string
	leader       *string
	since        kafka.Timestamp // when the group came to its state; NoTimestamp: not known
	members      []savedMember   // in the order in which they joined
}

// savedMember is what a record says of a member. Times are milliseconds.
type savedMember struct {
	id               string
	instance         *string
	client           Client
	rebalanceTimeout int32
	sessionTimeout   int32
	subscription     []byte // its metadata of the chosen protocol
	assignment       []byte
}

// minSavedMember is the fewest bytes that a member takes in any version.
const minSavedMember = 15

func (r *groupMetadata) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeGroupMetadata, r.group)
}

// AppendValue writes version 3, as Kafka 4.4.
func (r *groupMetadata) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 3)
	dst = wire.AppendString(dst, r.protocolType, false)
	dst = wire.AppendInt32(dst, r.generation)
	dst = appendNullable(dst, r.protocol, false)
	dst = appendNullable(dst, r.leader, false)
	dst = wire.AppendInt64(dst, int64(r.since))
	dst = wire.AppendCount(dst, len(r.members), false)
	for i := range r.members {
		m := &r.members[i]
		dst = wire.AppendString(dst, m.id, false)
		dst = appendNullable(dst, m.instance, false)
		dst = wire.AppendString(dst, m.client.ID, false)
		dst = wire.AppendString(dst, m.client.Host, false)
		dst = wire.AppendInt32(dst, m.rebalanceTimeout)
		dst = wire.AppendInt32(dst, m.sessionTimeout)
		dst = append(wire.AppendCount(dst, len(m.subscription), false), m.subscription...)
		dst = append(wire.AppendCount(dst, len(m.assignment), false), m.assignment...)
	}
	return dst, true
}

func (r *groupMetadata) replay(s *Shard, _ coordinator.Producer) { s.foldClassic(r) }

func decodeGroupMetadata(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &groupMetadata{group: string(key.String(false)), gone: value == nil, since: kafka.NoTimestamp}
	if r.gone {
		return r, nil
	}
	if version < 0 || version > 4 {
		return nil, errRecordVersion
	}
	flexible := version >= 4
	r.protocolType, r.generation = string(value.String(flexible)), value.Int32()
	r.protocol, r.leader = nullable(value, flexible), nullable(value, flexible)
	if version >= 2 {
		r.since = kafka.Timestamp(value.Int64())
	}
	r.members = make([]savedMember, value.Count(flexible, minSavedMember))
	for i := range r.members {
		m := &r.members[i]
		m.id = string(value.String(flexible))
		if version >= 3 {
			m.instance = nullable(value, flexible)
		}
		m.client = Client{ID: string(value.String(flexible)), Host: string(value.String(flexible))}
		m.rebalanceTimeout = -1
		if version >= 1 {
			m.rebalanceTimeout = value.Int32()
		}
		if m.sessionTimeout = value.Int32(); m.rebalanceTimeout == -1 {
			m.rebalanceTimeout = m.sessionTimeout
		}
		m.subscription = bytes.Clone(value.NullableBytes(flexible))
		m.assignment = bytes.Clone(value.NullableBytes(flexible))
		if flexible {
			value.SkipTags()
		}
		if value.Err() != nil {
			break
		}
	}
	if flexible {
		value.SkipTags()
	}
	return r, nil
}
