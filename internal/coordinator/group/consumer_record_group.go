package group

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeConsumerMetadata] = decodeConsumerMetadata
	decoders[typeConsumerPartitions] = decodeConsumerPartitions
	decoders[typeConsumerTarget] = decodeConsumerTarget
	decoders[typeConsumerTargetMember] = decodeConsumerTargetMember
}

// consumerMetadata is a group's epoch and what its topics looked like then, or the tombstone of a group (type 3).
type consumerMetadata struct {
	group string
	gone  bool
	epoch int32
	hash  int64 // of the topics that members subscribe to; 0: none, or not known
}

func (r *consumerMetadata) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerMetadata, r.group)
}

func (r *consumerMetadata) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = wire.AppendInt32(wire.AppendInt16(dst, 0), r.epoch)
	if r.hash == 0 {
		return wire.AppendNoTags(dst, true), true
	}
	return appendTag(wire.AppendUvarint(dst, 1), 0, wire.AppendInt64(nil, r.hash)), true
}

func decodeConsumerMetadata(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerMetadata{group: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.epoch = value.Int32()
	value.Tags(func(tag uint32, b []byte) {
		if t := wire.NewReader(b); tag == 0 {
			r.hash = t.Int64()
		}
	})
	return r, nil
}

func (r *consumerMetadata) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*consumerGroup](s, r.group); ok {
			s.dropConsumerGroup(g)
		}
		return
	}
	if g, ok := replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) }); ok {
		h := g.head.Get()
		h.epoch, h.hash = r.epoch, r.hash
		g.head.Set(h)
	}
}

// consumerPartitions is the tombstone of what Kafka before 4.1 wrote of a group's topics (type 4). What such a record says is not needed: its
// place is taken by consumerMetadata.hash. That there is one must be known, so that the tombstone gets written.
type consumerPartitions struct {
	group string
	gone  bool
	value []byte
}

func (r *consumerPartitions) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerPartitions, r.group)
}

// AppendValue gives back the value as it was read.
func (r *consumerPartitions) AppendValue(dst []byte) ([]byte, bool) {
	return append(dst, r.value...), !r.gone
}

func decodeConsumerPartitions(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerPartitions{group: string(key.String(false)), gone: value == nil}
	if !r.gone {
		if version != 0 {
			return nil, errRecordVersion
		}
		r.value = append(wire.AppendInt16(nil, version), value.Span(value.Left())...)
	}
	return r, nil
}

func (r *consumerPartitions) replay(s *Shard, _ coordinator.Producer) {
	g, ok := named[*consumerGroup](s, r.group)
	if !ok && !r.gone {
		g, ok = replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) })
	}
	if ok {
		h := g.head.Get()
		h.oldPartitions = !r.gone
		g.head.Set(h)
	}
}

// consumerTarget is the epoch that the target assignment is for, or its tombstone (type 6).
type consumerTarget struct {
	group string
	gone  bool
	epoch int32
	at    kafka.Timestamp // when it was computed; 0: not known
}

func (r *consumerTarget) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerTarget, r.group)
}

func (r *consumerTarget) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = wire.AppendInt32(wire.AppendInt16(dst, 0), r.epoch)
	if r.at == 0 {
		return wire.AppendNoTags(dst, true), true
	}
	return appendTag(wire.AppendUvarint(dst, 1), 0, wire.AppendInt64(nil, int64(r.at))), true
}

func decodeConsumerTarget(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerTarget{group: string(key.String(false)), gone: value == nil}
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

func (r *consumerTarget) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*consumerGroup](s, r.group); ok {
			g.setTargetEpoch(0, 0)
		}
		return
	}
	if g, ok := replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) }); ok {
		g.setTargetEpoch(r.epoch, r.at)
	}
}

// consumerTargetMember is what one member is to have, or its tombstone (type 7).
type consumerTargetMember struct {
	group, member string
	gone          bool
	target        held // no epochs
}

func (r *consumerTargetMember) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeConsumerTargetMember, r.group, r.member)
}

func (r *consumerTargetMember) AppendValue(dst []byte) ([]byte, bool) {
	if r.gone {
		return dst, false
	}
	dst = appendPartitions(wire.AppendInt16(dst, 0), r.target.Partitions)
	return wire.AppendNoTags(dst, true), true
}

func decodeConsumerTargetMember(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &consumerTargetMember{group: string(key.String(false)), member: string(key.String(false)), gone: value == nil}
	if r.gone {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	r.target.Partitions = readHeld(value).Partitions
	value.SkipTags()
	return r, nil
}

func (r *consumerTargetMember) replay(s *Shard, _ coordinator.Producer) {
	if r.gone {
		if g, ok := named[*consumerGroup](s, r.group); ok {
			g.targets.Delete(r.member)
		}
		return
	}
	if g, ok := replayed(s, r.group, func() *consumerGroup { return newConsumerGroup(s, r.group) }); ok {
		g.targets.Set(r.member, r.target.Partitions)
	}
}
