package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeStreamsMetadata] = decodeStreamsMetadata
	decoders[typeStreamsTarget] = decodeStreamsTarget
	decoders[typeStreamsTargetMember] = decodeStreamsTargetMember
}

// streamsMetadata is a group's epoch, what its topics looked like then and what else its assignment depends on, or the tombstone of a group
// (type 17).
type streamsMetadata struct {
	group string
	gone  bool
	streamsEpoch
}

// streamsEpoch is what a group has one of for each of its epochs.
type streamsEpoch struct {
	epoch     int32     // rises with every change of members, topics or settings (GRP-2)
	hash      int64     // of the topics required
	validated int32     // the topology epoch whose topics were found to be there; -1: tasks cannot run
	configs   []setting // that an assignment depends on; nil: not known
	// Topology epochs of a plug-in of Kafka's that stores descriptions; -1: none. Rafka has no such and passes them on.
	described, descriptionFailed int32
}

func (r *streamsMetadata) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeStreamsMetadata, r.group)
}

func (r *streamsMetadata) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = wire.AppendInt32(wire.AppendInt16(dst, 0), r.epoch)
	dst = wire.AppendInt64(dst, r.hash)
	n, tags := uint32(0), []byte(nil)
	tag := func(number uint32, value []byte) {
		tags = appendTag(tags, number, value)
		n++
	}
	epoch := func(number uint32, v int32) {
		if v != -1 {
			tag(number, wire.AppendInt32(nil, v))
		}
	}
	epoch(0, r.validated)
	if r.configs != nil {
		tag(1, appendSettings(nil, r.configs))
	}
	epoch(2, r.described)
	epoch(3, r.descriptionFailed)
	return append(wire.AppendUvarint(dst, n), tags...), true
}

func decodeStreamsMetadata(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &streamsMetadata{group: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.streamsEpoch = streamsEpoch{epoch: value.Int32(), hash: value.Int64(), validated: -1, described: -1, descriptionFailed: -1}
	bad := false
	value.Tags(func(tag uint32, b []byte) {
		t := wire.NewReader(b)
		switch tag {
		case 0:
			r.validated = t.Int32()
		case 1:
			r.configs = readSettings(&t)
		case 2:
			r.described = t.Int32()
		case 3:
			r.descriptionFailed = t.Int32()
		default:
			return
		}
		bad = bad || t.Err() != nil || t.Left() > 0
	})
	if bad {
		return nil, wire.ErrMalformed
	}
	return r, nil
}

func (r *streamsMetadata) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*streamsGroup](s, r.group); ok {
			s.dropStreamsGroup(g)
		}
		return
	}
	if g, ok := s.replayedStreams(r.group); ok {
		h := g.head.Get()
		h.streamsEpoch = r.streamsEpoch
		g.head.Set(h)
	}
}

// streamsTarget is the epoch that the target assignment is for, or its tombstone (type 20).
type streamsTarget struct {
	group string
	gone  bool
	epoch int32
	at    kafka.Timestamp // when it was computed; 0: not known
}

func (r *streamsTarget) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeStreamsTarget, r.group)
}

func (r *streamsTarget) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = wire.AppendInt32(wire.AppendInt16(dst, 0), r.epoch)
	if r.at == 0 {
		return wire.AppendNoTags(dst, true), true
	}
	return appendTag(wire.AppendUvarint(dst, 1), 0, wire.AppendInt64(nil, int64(r.at))), true
}

func decodeStreamsTarget(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &streamsTarget{group: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.epoch = value.Int32()
	value.Tags(func(tag uint32, b []byte) {
		if t := wire.NewReader(b); tag == 0 {
			r.at = kafka.Timestamp(t.Int64())
		}
	})
	return r, nil
}

func (r *streamsTarget) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*streamsGroup](s, r.group); ok {
			g.setTargetEpoch(firstStreamsEpoch, 0)
		}
		return
	}
	if g, ok := s.replayedStreams(r.group); ok {
		g.setTargetEpoch(r.epoch, r.at)
	}
}

// streamsTargetMember is what one member is to have, or its tombstone (type 21).
type streamsTargetMember struct {
	group, member string
	gone          bool
	target        tasks.Assignment
}

func (r *streamsTargetMember) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeStreamsTargetMember, r.group, r.member)
}

func (r *streamsTargetMember) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = appendTasks(wire.AppendInt16(dst, 0), streamsHeld{Assignment: r.target})
	return wire.AppendNoTags(dst, true), true
}

func decodeStreamsTargetMember(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &streamsTargetMember{group: string(key.String(false)), member: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.target = readTasks(value).Assignment
	value.SkipTags()
	return r, nil
}

func (r *streamsTargetMember) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*streamsGroup](s, r.group); ok {
			g.targets.Delete(r.member)
		}
		return
	}
	if g, ok := s.replayedStreams(r.group); ok {
		g.targets.Set(r.member, r.target)
	}
}
