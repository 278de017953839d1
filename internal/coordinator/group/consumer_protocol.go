package group

import (
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/wire"
)

// What consumers of the classic protocol tell each other, in Kafka's formats: a version, its fields, and whatever a newer version appends. The
// broker reads it when such a consumer is a member of a consumer group.

// classicSubscription is what a consumer says when it joins.
type classicSubscription struct {
	version int16
	topics  []string
	owned   []classicTopic // from version 1; what it has and does not mean to give up
	rack    *string        // from version 3
}

type classicTopic struct {
	name       string
	partitions []int32
}

// newestAssignment is the newest version of an assignment. It has as many fields as the first.
const newestAssignment = 3

func readClassicSubscription(b []byte) (s classicSubscription, ok bool) {
	r := wire.NewReader(b)
	s.version = r.Int16()
	s.topics = make([]string, r.Count(false, 2))
	for i := range s.topics {
		s.topics[i] = string(r.String(false))
	}
	r.NullableBytes(false)
	if s.version >= 1 {
		s.owned = readClassicTopics(&r)
	}
	if s.version >= 2 {
		r.Int32() // the generation in which it came to own them
	}
	if s.version >= 3 {
		s.rack = nullable(&r, false)
	}
	slices.Sort(s.topics)
	s.topics = slices.Compact(s.topics)
	return s, r.Err() == nil && s.version >= 0
}

// readClassicAssignment reads what a leader gave a member; custom is whether an assignor keeps data of its own in it, which a broker cannot
// carry on. Nothing at all is an empty assignment.
func readClassicAssignment(b []byte) (topics []classicTopic, custom, ok bool) {
	if len(b) == 0 {
		return nil, false, true
	}
	r := wire.NewReader(b)
	version := r.Int16()
	topics = readClassicTopics(&r)
	custom = len(r.NullableBytes(false)) > 0
	return topics, custom, r.Err() == nil && version >= 0
}

func readClassicTopics(r *wire.Reader) []classicTopic {
	list := make([]classicTopic, r.Count(false, 6))
	for i := range list {
		list[i].name = string(r.String(false))
		list[i].partitions = make([]int32, r.Count(false, 4))
		for j := range list[i].partitions {
			list[i].partitions[j] = r.Int32()
		}
		if r.Err() != nil {
			return nil
		}
	}
	return list
}

// partitionsOf are those of topics that exist.
func partitionsOf(img *metadata.Image, list []classicTopic) assign.Partitions {
	var topics []assign.Topic
	for _, t := range list {
		if topic := img.Topics.ByName(t.name); topic != nil {
			topics = append(topics, assign.Topic{ID: topic.ID, Partitions: t.partitions})
		}
	}
	return assign.Of(topics)
}

// appendClassicAssignment writes an assignment in the version that the member's subscription has.
func appendClassicAssignment(dst []byte, version int16, img *metadata.Image, set assign.Partitions) []byte {
	dst = wire.AppendInt16(dst, min(version, newestAssignment))
	at := len(dst)
	dst = wire.AppendInt32(dst, 0)
	n := 0
	for _, t := range set {
		topic := img.Topics.ByID(t.ID)
		if topic == nil {
			continue
		}
		n++
		dst = wire.AppendString(dst, topic.Name, false)
		dst = wire.AppendCount(dst, len(t.Partitions), false)
		for _, p := range t.Partitions {
			dst = wire.AppendInt32(dst, p)
		}
	}
	wire.AppendInt32(dst[:at], int32(n))
	return wire.AppendInt32(dst, -1) // no data of an assignor
}
