package group

import (
	"math"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/wire"
)

func init() {
	decoders[typeStreamsTopology] = decodeStreamsTopology
}

// streamsTopologyRecord is the topology of a group, or its tombstone (type 23).
type streamsTopologyRecord struct {
	group    string
	topology *streamsTopology // nil: a tombstone
}

func (r *streamsTopologyRecord) AppendKey(dst []byte) []byte {
	return appendKey(dst, typeStreamsTopology, r.group)
}

func (r *streamsTopologyRecord) AppendValue(dst []byte) ([]byte, bool) {
	if r.topology == nil {
		return dst, false
	}
	dst = wire.AppendInt32(wire.AppendInt16(dst, 0), r.topology.epoch)
	dst = wire.AppendCount(dst, len(r.topology.subtopologies), true)
	for i := range r.topology.subtopologies {
		s := &r.topology.subtopologies[i]
		dst = wire.AppendString(dst, s.id, true)
		dst = appendStrings(dst, s.sources)
		dst = appendStrings(dst, s.regexes)
		dst = appendStreamsTopics(dst, s.changelogs)
		dst = appendStrings(dst, s.repartitionSinks)
		dst = appendStreamsTopics(dst, s.repartitionSources)
		dst = wire.AppendCount(dst, len(s.copartitioned), true)
		for _, c := range s.copartitioned {
			dst = appendInt16s(appendInt16s(appendInt16s(dst, c.sources), c.regexes), c.repartitionSources)
			dst = wire.AppendNoTags(dst, true)
		}
		dst = wire.AppendNoTags(dst, true)
	}
	return wire.AppendNoTags(dst, true), true
}

func appendStreamsTopics(dst []byte, list []streamsTopic) []byte {
	dst = wire.AppendCount(dst, len(list), true)
	for _, t := range list {
		dst = wire.AppendInt32(wire.AppendString(dst, t.name, true), t.partitions)
		dst = appendSettings(wire.AppendInt16(dst, t.replication), t.configs)
		dst = wire.AppendNoTags(dst, true)
	}
	return dst
}

func appendInt16s(dst []byte, list []int16) []byte {
	dst = wire.AppendCount(dst, len(list), true)
	for _, n := range list {
		dst = wire.AppendInt16(dst, n)
	}
	return dst
}

// The fewest bytes of the elements of a topology's arrays.
const (
	subtopologyMinimum      = 8 // a name, six arrays, no tags
	streamsTopicMinimum     = 9 // a name, two numbers, an array, no tags
	copartitionGroupMinimum = 4 // three arrays, no tags
)

func decodeStreamsTopology(key *wire.Reader, version int16, value *wire.Reader) (record, error) {
	r := &streamsTopologyRecord{group: string(key.String(false))}
	if value == nil {
		return r, nil
	}
	if version != 0 {
		return nil, errRecordVersion
	}
	t := &streamsTopology{epoch: value.Int32()}
	t.subtopologies = make([]streamsSubtopology, value.Count(true, subtopologyMinimum))
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		s.id = string(value.String(true))
		s.sources, s.regexes = readStrings(value), readStrings(value)
		s.changelogs = readStreamsTopics(value)
		s.repartitionSinks = readStrings(value)
		s.repartitionSources = readStreamsTopics(value)
		s.copartitioned = make([]copartitionGroup, value.Count(true, copartitionGroupMinimum))
		for k := range s.copartitioned {
			c := &s.copartitioned[k]
			c.sources, c.regexes, c.repartitionSources = readInt16s(value), readInt16s(value), readInt16s(value)
			value.SkipTags()
			if !within(c.sources, len(s.sources)) || !within(c.regexes, len(s.regexes)) || !within(c.repartitionSources, len(s.repartitionSources)) {
				return nil, wire.ErrMalformed
			}
		}
		value.SkipTags()
		if value.Err() != nil || max(len(s.sources), len(s.regexes), len(s.repartitionSources)) > math.MaxInt16 {
			return nil, wire.ErrMalformed
		}
	}
	value.SkipTags()
	t.normalize()
	r.topology = t
	return r, nil
}

func readStreamsTopics(r *wire.Reader) []streamsTopic {
	list := make([]streamsTopic, r.Count(true, streamsTopicMinimum))
	for i := range list {
		list[i] = streamsTopic{name: string(r.String(true)), partitions: r.Int32(), replication: r.Int16(), configs: readSettings(r)}
		r.SkipTags()
	}
	return list
}

func readInt16s(r *wire.Reader) []int16 {
	list := make([]int16, r.Count(true, 2))
	for i := range list {
		list[i] = r.Int16()
	}
	return list
}

func (r *streamsTopologyRecord) replay(s *Shard, _ coordinator.Producer) {
	if r.topology == nil {
		if g, ok := named[*streamsGroup](s, r.group); ok {
			g.topology.Set(nil)
		}
		return
	}
	if g, ok := s.replayedStreams(r.group); ok {
		g.topology.Set(r.topology)
	}
}
