package group

import (
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeShareMember] = decodeShareMember
	decoders[typeShareCurrent] = decodeShareCurrent
}

// shareMemberRecord is what a member said of itself, or its tombstone (type 10).
type shareMemberRecord struct {
	group, member string
	said          *shareSubscription // nil: a tombstone
}

func (r *shareMemberRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeShareMember, r.group, r.member)
}

func (r *shareMemberRecord) AppendValue(dst []byte) ([]byte, bool) {
	v := r.said
	if v == nil {
		return dst, false
	}
	dst = appendNullable(wire.AppendInt16(dst, 0), v.rack, true)
	dst = wire.AppendString(dst, v.client.ID, true)
	dst = wire.AppendString(dst, v.client.Host, true)
	return wire.AppendNoTags(appendStrings(dst, v.topics), true), true
}

func decodeShareMember(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &shareMemberRecord{group: string(key.String(false)), member: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.said = &shareSubscription{rack: nullable(value, true)}
	r.said.client = Client{ID: string(value.String(true)), Host: string(value.String(true))}
	r.said.topics = readStrings(value)
	slices.Sort(r.said.topics)
	r.said.topics = slices.Compact(r.said.topics)
	value.SkipTags()
	return r, nil
}

func (r *shareMemberRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.said == nil {
		if g, ok := named[*shareGroup](s, r.group); ok {
			g.dropMember(r.member)
		}
		return
	}
	if g, ok := s.replayedShare(r.group); ok {
		m := g.memberOrNew(r.member).with()
		m.said = r.said
		g.setMember(m)
	}
}

// shareCurrentRecord is what a member has, or its tombstone (type 14).
type shareCurrentRecord struct {
	group, member string
	at            *shareCurrent // nil: a tombstone
}

func (r *shareCurrentRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeShareCurrent, r.group, r.member)
}

func (r *shareCurrentRecord) AppendValue(dst []byte) ([]byte, bool) {
	v := r.at
	if v == nil {
		return dst, false
	}
	dst = wire.AppendInt32(wire.AppendInt32(wire.AppendInt16(dst, 0), v.epoch), v.previous)
	dst = wire.AppendInt8(dst, int8(memberStable)) // members of share groups wait for nobody
	return wire.AppendNoTags(appendPartitions(dst, v.assigned), true), true
}

func decodeShareCurrent(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &shareCurrentRecord{group: string(key.String(false)), member: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.at = &shareCurrent{epoch: value.Int32(), previous: value.Int32()}
	value.Int8()
	r.at.assigned = readHeld(value).Partitions
	value.SkipTags()
	return r, nil
}

func (r *shareCurrentRecord) replay(s *Shard, _ coordinator.Producer) {
	at := r.at
	if at == nil {
		g, ok := named[*shareGroup](s, r.group)
		if !ok {
			return
		}
		if _, ok := g.members.Get(r.member); !ok {
			return
		}
		at = &shareCurrent{epoch: epochLeave, previous: epochLeave}
	}
	if g, ok := s.replayedShare(r.group); ok {
		m := g.memberOrNew(r.member).with()
		m.at = at
		g.setMember(m)
	}
}
