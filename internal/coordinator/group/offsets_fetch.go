package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// OffsetFetch tells the committed offsets of one group: of the topics asked for, or of all when Topics is nil. Where there is none the
// offset is -1. With requireStable a partition for which a transaction has staged an offset answers UNSTABLE_OFFSET_COMMIT (GRP-4). Errors
// of the group are those of its checkFetch; a topic id that nobody knows is UNKNOWN_TOPIC_ID.
func (s *Shard) OffsetFetch(v coordinator.View, req *kmsg.OffsetFetchRequestGroup, requireStable bool) kmsg.OffsetFetchResponseGroup {
	r := kmsg.NewOffsetFetchResponseGroup()
	r.Group = req.Group
	g, found := s.groups.GetAt(req.Group, v.Committed)
	if found {
		if err := g.checkFetch(v, req.MemberID, req.MemberEpoch); err != nil {
			r.ErrorCode = int16(kafka.CodeOf(err))
			return r
		}
	}
	f := offsetReader{v: v, stable: requireStable}
	if offsets, ok := s.byGroup.GetAt(req.Group, v.Committed); ok && found {
		f.offsets = offsets
	}
	f.now, _ = s.byGroup.Get(req.Group)
	if req.Topics == nil {
		r.Topics = f.all()
		return r
	}
	r.Topics = make([]kmsg.OffsetFetchResponseGroupTopic, len(req.Topics))
	for i := range req.Topics {
		t, answer := &req.Topics[i], &r.Topics[i]
		answer.Topic, answer.TopicID = t.Topic, t.TopicID
		unknown := kafka.None
		if known := lookup(v.Image, t.Topic, t.TopicID); known != nil {
			answer.Topic, answer.TopicID = known.Name, known.ID
		} else if answer.Topic == "" {
			unknown = kafka.UnknownTopicID
		}
		answer.Partitions = make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(t.Partitions))
		for k, p := range t.Partitions {
			if unknown != kafka.None {
				answer.Partitions[k] = noOffset(p, unknown)
			} else {
				answer.Partitions[k] = f.one(offsetKey{answer.Topic, p})
			}
		}
	}
	return r
}

// lookup finds a topic by its id, or by its name where there is no id.
func lookup(img *metadata.Image, name string, id kafka.UUID) *metadata.Topic {
	if id.IsZero() {
		return img.Topics.ByName(name)
	}
	return img.Topics.ByID(id)
}

// offsetReader reads the offsets of a group as of what is committed.
type offsetReader struct {
	v       coordinator.View
	offsets *groupOffsets // nil: none
	now     *groupOffsets // those of this moment; nil: none
	stable  bool
}

func noOffset(partition int32, code kafka.ErrorCode) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata, p.ErrorCode = partition, -1, -1, kmsg.StringPtr(""), int16(code)
	return p
}

// isStaged looks at what is committed and at this moment: a staged offset whose record is on its way will be committed, and one whose
// marker is on its way is not yet.
func (f *offsetReader) isStaged(key offsetKey) bool {
	return f.offsets != nil && f.offsets.isStaged(key, f.v.Committed) || f.now != nil && f.now.isStaged(key, timeline.Latest)
}

func (f *offsetReader) one(key offsetKey) kmsg.OffsetFetchResponseGroupTopicPartition {
	if f.stable && f.isStaged(key) {
		return noOffset(key.partition, kafka.UnstableOffsetCommit)
	}
	if f.offsets == nil {
		return noOffset(key.partition, kafka.None)
	}
	c, ok := f.offsets.committed.GetAt(key, f.v.Committed)
	if !ok {
		return noOffset(key.partition, kafka.None)
	}
	return found(c)
}

func found(c *offsetCommit) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = c.partition, int64(c.offset), int32(c.leaderEpoch), &c.metadata
	return p
}

// all lists the offsets of a group by topic and partition. Those of a topic that has been removed meanwhile are on their way out, and have
// no id that a client could ask for.
func (f *offsetReader) all() []kmsg.OffsetFetchResponseGroupTopic {
	topics := []kmsg.OffsetFetchResponseGroupTopic{}
	if f.offsets == nil {
		return topics
	}
	list := make([]*offsetCommit, 0, f.offsets.committed.LenAt(f.v.Committed))
	for _, c := range f.offsets.committed.AllAt(f.v.Committed) {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *offsetCommit) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	for _, c := range list {
		if n := len(topics); n == 0 || topics[n-1].Topic != c.topic {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = c.topic
			if known := f.v.Image.Topics.ByName(c.topic); known != nil {
				t.TopicID = known.ID
			}
			topics = append(topics, t)
		}
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, f.one(c.offsetKey))
	}
	return topics
}
