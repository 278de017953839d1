package group

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeStreamsMember] = decodeStreamsMember
	decoders[typeStreamsCurrent] = decodeStreamsCurrent
}

// streamsMemberRecord is what a member said of itself, or its tombstone (type 19).
type streamsMemberRecord struct {
	group, member string
	said          *streamsSaid // nil: a tombstone
}

func (r *streamsMemberRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeStreamsMember, r.group, r.member)
}

func (r *streamsMemberRecord) AppendValue(dst []byte) ([]byte, bool) {
	v := r.said
	if v == nil {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 0)
	dst = appendNullable(dst, v.instance, true)
	dst = appendNullable(dst, v.rack, true)
	dst = wire.AppendString(dst, v.client.ID, true)
	dst = wire.AppendString(dst, v.client.Host, true)
	dst = wire.AppendInt32(dst, v.rebalanceTimeout)
	dst = wire.AppendInt32(dst, v.topologyEpoch)
	dst = wire.AppendString(dst, v.process, true)
	// A struct that may be null begins with a byte that says whether it is.
	if v.endpoint == nil {
		dst = wire.AppendInt8(dst, -1)
	} else {
		dst = wire.AppendString(wire.AppendInt8(dst, 1), v.endpoint.host, true)
		dst = wire.AppendNoTags(wire.AppendInt16(dst, int16(v.endpoint.port)), true)
	}
	dst = wire.AppendCount(dst, len(v.tags), true)
	for _, t := range v.tags {
		dst = wire.AppendString(wire.AppendString(dst, t.Key, true), t.Value, true)
		dst = wire.AppendNoTags(dst, true)
	}
	return wire.AppendNoTags(dst, true), true
}

func decodeStreamsMember(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &streamsMemberRecord{group: string(key.String(false)), member: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	v := &streamsSaid{instance: nullable(value, true), rack: nullable(value, true)}
	v.client = Client{ID: string(value.String(true)), Host: string(value.String(true))}
	v.rebalanceTimeout, v.topologyEpoch = value.Int32(), value.Int32()
	v.process = string(value.String(true))
	if value.Int8() >= 0 {
		v.endpoint = &streamsEndpoint{host: string(value.String(true)), port: uint16(value.Int16())}
		value.SkipTags()
	}
	for _, s := range readSettings(value) {
		v.tags = append(v.tags, tasks.Tag{Key: s.key, Value: s.value})
	}
	sortTags(v.tags)
	value.SkipTags()
	r.said = v
	return r, nil
}

func sortTags(tags []tasks.Tag) {
	slices.SortStableFunc(tags, func(a, b tasks.Tag) int { return cmp.Compare(a.Key, b.Key) })
}

func (r *streamsMemberRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.said == nil {
		if g, ok := named[*streamsGroup](s, r.group); ok {
			g.dropMember(r.member)
		}
		return
	}
	if g, ok := s.replayedStreams(r.group); ok {
		m := g.memberOrNew(r.member).with()
		m.said = r.said
		g.setMember(m)
	}
}

// streamsCurrentRecord is where a member is on its way to its goal, or its tombstone (type 22).
type streamsCurrentRecord struct {
	group, member string
	at            *streamsCurrent // nil: a tombstone
}

func (r *streamsCurrentRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeStreamsCurrent, r.group, r.member)
}

func (r *streamsCurrentRecord) AppendValue(dst []byte) ([]byte, bool) {
	v := r.at
	if v == nil {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 0)
	dst = wire.AppendInt32(dst, v.epoch)
	dst = wire.AppendInt32(dst, v.previous)
	dst = wire.AppendInt8(dst, int8(v.state))
	dst = appendTasks(dst, v.assigned)
	dst = appendTasks(dst, v.revoking)
	return wire.AppendNoTags(dst, true), true
}

func decodeStreamsCurrent(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &streamsCurrentRecord{group: string(key.String(false)), member: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.at = &streamsCurrent{epoch: value.Int32(), previous: value.Int32(), state: memberState(value.Int8())}
	r.at.assigned, r.at.revoking = readTasks(value), readTasks(value)
	value.SkipTags()
	return r, nil
}

func (r *streamsCurrentRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.at == nil {
		if g, ok := named[*streamsGroup](s, r.group); ok {
			if m, ok := g.members.Get(r.member); ok {
				m = m.with()
				m.at = goneStreams
				g.setMember(m)
			}
		}
		return
	}
	if g, ok := s.replayedStreams(r.group); ok {
		m := g.memberOrNew(r.member).with()
		m.at = r.at
		g.setMember(m)
	}
}
