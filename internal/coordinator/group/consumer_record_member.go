package group

import (
	"bytes"
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeConsumerMember] = decodeConsumerMember
	decoders[typeConsumerCurrent] = decodeConsumerCurrent
	decoders[typeConsumerRegex] = decodeConsumerRegex
}

// consumerMemberRecord is what a member said of itself, or its tombstone (type 5).
type consumerMemberRecord struct {
	group, member string
	said          *consumerSubscription // nil: a tombstone
}

func (r *consumerMemberRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerMember, r.group, r.member)
}

func (r *consumerMemberRecord) AppendValue(dst []byte) ([]byte, bool) {
	v := r.said
	if v == nil {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 0)
	dst = appendNullable(dst, v.instance, true)
	dst = appendNullable(dst, v.rack, true)
	dst = wire.AppendString(dst, v.client.ID, true)
	dst = wire.AppendString(dst, v.client.Host, true)
	dst = appendStrings(dst, v.topics)
	dst = appendNullable(dst, v.regex, true)
	dst = wire.AppendInt32(dst, v.rebalanceTimeout)
	dst = appendNullable(dst, v.assignor, true)
	if v.classic == nil {
		return wire.AppendNoTags(dst, true), true
	}
	// A struct that may be null begins with a byte that says whether it is.
	c := wire.AppendInt32(wire.AppendInt8(nil, 1), v.classic.sessionTimeout)
	c = wire.AppendCount(c, len(v.classic.protocols), true)
	for _, p := range v.classic.protocols {
		c = wire.AppendString(c, p.name, true)
		c = append(wire.AppendCount(c, len(p.metadata), true), p.metadata...)
		c = wire.AppendNoTags(c, true)
	}
	return appendTag(wire.AppendUvarint(dst, 1), 0, wire.AppendNoTags(c, true)), true
}

func decodeConsumerMember(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerMemberRecord{group: string(key.String(false)), member: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	v := &consumerSubscription{instance: nullable(value, true), rack: nullable(value, true)}
	v.client = Client{ID: string(value.String(true)), Host: string(value.String(true))}
	v.topics = readStrings(value)
	slices.Sort(v.topics)
	v.topics = slices.Compact(v.topics)
	v.regex = nullable(value, true)
	v.rebalanceTimeout = value.Int32()
	v.assignor = nullable(value, true)
	bad := false
	value.Tags(func(tag uint32, b []byte) {
		t := wire.NewReader(b)
		if tag != 0 || t.Int8() < 0 {
			return
		}
		v.classic = &classicSide{sessionTimeout: t.Int32()}
		v.classic.protocols = make([]protocol, t.Count(true, 3))
		for i := range v.classic.protocols {
			p := &v.classic.protocols[i]
			p.name, p.metadata = string(t.String(true)), bytes.Clone(t.NullableBytes(true))
			t.SkipTags()
			if t.Err() != nil {
				break
			}
		}
		t.SkipTags()
		bad = t.Err() != nil || t.Left() > 0
	})
	if bad {
		return nil, wire.ErrMalformed
	}
	r.said = v
	return r, nil
}

func (r *consumerMemberRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.said == nil {
		if g, ok := named[*consumerGroup](s, r.group); ok {
			g.dropMember(r.member)
		}
		return
	}
	if g, ok := replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) }); ok {
		m := g.memberOrNew(r.member).with()
		m.said = r.said
		g.setMember(m)
	}
}

// consumerCurrentRecord is where a member is on its way to its target, or its tombstone (type 8).
type consumerCurrentRecord struct {
	group, member string
	at            *consumerCurrent // nil: a tombstone
}

func (r *consumerCurrentRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerCurrent, r.group, r.member)
}

func (r *consumerCurrentRecord) AppendValue(dst []byte) ([]byte, bool) {
	v := r.at
	if v == nil {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 0)
	dst = wire.AppendInt32(dst, v.epoch)
	dst = wire.AppendInt32(dst, v.previous)
	dst = wire.AppendInt8(dst, int8(v.state))
	dst = appendHeld(dst, v.assigned)
	dst = appendHeld(dst, v.revoking)
	return wire.AppendNoTags(dst, true), true
}

func decodeConsumerCurrent(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerCurrentRecord{group: string(key.String(false)), member: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.at = &consumerCurrent{epoch: value.Int32(), previous: value.Int32(), state: memberState(value.Int8())}
	r.at.assigned, r.at.revoking = readHeld(value), readHeld(value)
	value.SkipTags()
	return r, nil
}

func (r *consumerCurrentRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.at == nil {
		if g, ok := named[*consumerGroup](s, r.group); ok {
			if m, ok := g.members.Get(r.member); ok {
				m = m.with()
				m.at = goneCurrent
				g.setMember(m)
			}
		}
		return
	}
	if g, ok := replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) }); ok {
		m := g.memberOrNew(r.member).with()
		m.at = r.at
		g.setMember(m)
	}
}

// consumerRegex is the topics that match an expression some member subscribes to, or its tombstone (type 16).
type consumerRegex struct {
	group, regex string
	found        *regexTopics // nil: a tombstone
}

func (r *consumerRegex) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerRegex, r.group, r.regex)
}

func (r *consumerRegex) AppendValue(dst []byte) ([]byte, bool) {
	if r.found == nil {
		return dst, false
	}
	dst = appendStrings(wire.AppendInt16(dst, 0), r.found.topics)
	dst = wire.AppendInt64(dst, r.found.version)
	dst = wire.AppendInt64(dst, int64(r.found.at))
	return wire.AppendNoTags(dst, true), true
}

func decodeConsumerRegex(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerRegex{group: string(key.String(false)), regex: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.found = &regexTopics{topics: readStrings(value)}
	slices.Sort(r.found.topics)
	r.found.topics = slices.Compact(r.found.topics)
	r.found.version, r.found.at = value.Int64(), timestampOf(value)
	value.SkipTags()
	return r, nil
}

func (r *consumerRegex) replay(s *Shard, _ coordinator.Producer) {
	if r.found == nil {
		if g, ok := named[*consumerGroup](s, r.group); ok {
			g.regexes.Delete(r.regex)
		}
		return
	}
	if g, ok := replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) }); ok {
		g.regexes.Set(r.regex, r.found)
	}
}
