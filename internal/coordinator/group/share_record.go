package group

import (
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeShareMetadata] = decodeShareMetadata
	decoders[typeShareTarget] = decodeShareTarget
	decoders[typeShareTargetMember] = decodeShareTargetMember
	decoders[typeShareStatePartitions] = decodeShareState
}

// shareMetadata is a group's epoch and what its topics looked like then, or the tombstone of a group (type 11).
type shareMetadata struct {
	group string
	gone  bool
	epoch int32
	hash  int64
}

func (r *shareMetadata) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeShareMetadata, r.group)
}

func (r *shareMetadata) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = wire.AppendInt64(wire.AppendInt32(wire.AppendInt16(dst, 0), r.epoch), r.hash)
	return wire.AppendNoTags(dst, true), true
}

func decodeShareMetadata(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &shareMetadata{group: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.epoch, r.hash = value.Int32(), value.Int64()
	value.SkipTags()
	return r, nil
}

func (r *shareMetadata) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*shareGroup](s, r.group); ok {
			s.crowd.Set(s.crowd.Get() - g.members.Len())
			s.groups.Delete(r.group)
		}
		return
	}
	if g, ok := s.replayedShare(r.group); ok {
		h := g.head.Get()
		h.epoch, h.hash = r.epoch, r.hash
		g.head.Set(h)
	}
}

func (s *Shard) replayedShare(name string) (*shareGroup, bool) {
	return replayed(s, name, func() *shareGroup { return newShareGroup(s, name) })
}

// shareTarget is the epoch that the target assignment is for, or its tombstone (type 12).
type shareTarget struct {
	group string
	gone  bool
	epoch int32
	at    kafka.Timestamp // when it was computed; 0: not known
}

func (r *shareTarget) AppendKey(dst []byte) []byte { return appendKey(dst, typeShareTarget, r.group) }

func (r *shareTarget) AppendValue(dst []byte) ([]byte, bool) {
	return (&consumerTarget{gone: r.gone, epoch: r.epoch, at: r.at}).AppendValue(dst) // the same format
}

func decodeShareTarget(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	same, err := decodeConsumerTarget(key, version, value)
	if err != nil {
		return nil, err
	}
	t := same.(*consumerTarget)
	return &shareTarget{group: t.group, gone: t.gone, epoch: t.epoch, at: t.at}, nil
}

func (r *shareTarget) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*shareGroup](s, r.group); ok {
			g.setTargetEpoch(0, 0)
		}
		return
	}
	if g, ok := s.replayedShare(r.group); ok {
		g.setTargetEpoch(r.epoch, r.at)
	}
}

// shareTargetMember is what one member is to have, or its tombstone (type 13).
type shareTargetMember struct {
	group, member string
	gone          bool
	target        assign.Partitions
}

func (r *shareTargetMember) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeShareTargetMember, r.group, r.member)
}

func (r *shareTargetMember) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	return wire.AppendNoTags(appendPartitions(wire.AppendInt16(dst, 0), r.target), true), true
}

func decodeShareTargetMember(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &shareTargetMember{group: string(key.String(false)), member: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.target = readHeld(value).Partitions
	value.SkipTags()
	return r, nil
}

func (r *shareTargetMember) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*shareGroup](s, r.group); ok {
			g.targets.Delete(r.member)
		}
		return
	}
	if g, ok := s.replayedShare(r.group); ok {
		g.targets.Set(r.member, r.target)
	}
}

// shareStateRecord is which partitions of a group have a state, or its tombstone (type 15).
type shareStateRecord struct {
	group  string
	topics *shareTopics // nil: a tombstone
}

func (r *shareStateRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeShareStatePartitions, r.group)
}

func (r *shareStateRecord) AppendValue(dst []byte) ([]byte, bool) {
	t := r.topics
	if t == nil {
		return dst, false
	}
	dst = wire.AppendInt16(dst, 0)
	for _, set := range [...]assign.Partitions{t.initializing, t.initialized} {
		dst = wire.AppendCount(dst, len(set), true)
		for _, topic := range set {
			dst = append(dst, topic.ID[:]...)
			dst = wire.AppendString(dst, t.names[topic.ID], true)
			dst = wire.AppendCount(dst, len(topic.Partitions), true)
			for _, p := range topic.Partitions {
				dst = wire.AppendInt32(dst, p)
			}
			dst = wire.AppendNoTags(dst, true)
		}
	}
	dst = wire.AppendCount(dst, len(t.deleting), true)
	for _, id := range t.deleting {
		dst = append(dst, id[:]...)
		dst = wire.AppendNoTags(wire.AppendString(dst, t.names[id], true), true)
	}
	return wire.AppendNoTags(dst, true), true
}

func decodeShareState(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &shareStateRecord{group: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	t := &shareTopics{names: map[kafka.UUID]string{}}
	for _, set := range [...]*assign.Partitions{&t.initializing, &t.initialized} {
		list := make([]assign.Topic, value.Count(true, topicsMinimum+1))
		for i := range list {
			list[i].ID = value.UUID()
			t.names[list[i].ID] = string(value.String(true))
			list[i].Partitions = readInt32s(value)
			value.SkipTags()
			if value.Err() != nil {
				return nil, wire.ErrMalformed
			}
		}
		*set = assign.Of(list)
	}
	for range value.Count(true, topicsMinimum) {
		id := kafka.UUID(value.UUID())
		t.names[id] = string(value.String(true))
		t.deleting = append(t.deleting, id)
		value.SkipTags()
		if value.Err() != nil {
			return nil, wire.ErrMalformed
		}
	}
	slices.SortFunc(t.deleting, compareIDs)
	t.deleting = slices.Compact(t.deleting)
	value.SkipTags()
	r.topics = t
	return r, nil
}

func (r *shareStateRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.topics == nil {
		s.shareStates.Delete(r.group)
		return
	}
	s.shareStates.Set(r.group, r.topics)
}
