package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// offsetDeleteCheck is what a group has that refuses to drop single offsets of live members.
type offsetDeleteCheck interface{ checkOffsetDelete() error }

// OffsetDelete drops offsets of topics that no member subscribes to. Errors of the request: INVALID_GROUP_ID, GROUP_ID_NOT_FOUND,
// NON_EMPTY_GROUP; of a partition: GROUP_SUBSCRIBED_TO_TOPIC. A partition without offset is no error.
func (s *Shard) OffsetDelete(op *coordinator.Op, req *kmsg.OffsetDeleteRequest) *kmsg.OffsetDeleteResponse {
	r := kmsg.NewPtrOffsetDeleteResponse()
	g, ok := s.groups.Get(req.Group)
	switch {
	case req.Group == "":
		r.ErrorCode = int16(kafka.InvalidGroupID)
		return r
	case !ok:
		r.ErrorCode = int16(kafka.GroupIDNotFound)
		return r
	}
	if c, ok := g.(offsetDeleteCheck); ok {
		if err := c.checkOffsetDelete(); err != nil {
			r.ErrorCode = int16(kafka.CodeOf(err))
			return r
		}
	}
	offsets, _ := s.byGroup.Get(req.Group)
	for i := range req.Topics {
		t := &req.Topics[i]
		answer := kmsg.NewOffsetDeleteResponseTopic()
		answer.Topic = t.Topic
		subscribed := g.usesTopic(t.Topic)
		for k := range t.Partitions {
			p := kmsg.NewOffsetDeleteResponseTopicPartition()
			p.Partition = t.Partitions[k].Partition
			if subscribed {
				p.ErrorCode = int16(kafka.GroupSubscribedToTopic)
			} else if offsets != nil {
				offsets.drop(op, g.name(), offsetKey{t.Topic, p.Partition})
			}
			answer.Partitions = append(answer.Partitions, p)
		}
		r.Topics = append(r.Topics, answer)
	}
	return r
}

// drop emits the tombstone of an offset, committed or staged, if there is one.
func (g *groupOffsets) drop(op *coordinator.Op, group string, key offsetKey) {
	c, ok := g.committed.Get(key)
	if ok {
		key = c.offsetKey // not the request's bytes
	}
	if n, _ := g.staged.Get(key); ok || n > 0 {
		op.Emit(&offsetCommit{group: group, offsetKey: key.clone(), gone: true})
	}
}

// keys are the partitions with an offset, committed or staged, in order.
func (g *groupOffsets) keys() []offsetKey {
	list := make([]offsetKey, 0, g.committed.Len())
	for key := range g.committed.All() {
		list = append(list, key)
	}
	for key := range g.staged.All() {
		if _, too := g.committed.Get(key); !too {
			list = append(list, key)
		}
	}
	slices.SortFunc(list, offsetKey.compare)
	return list
}

// dropRemovedTopics drops the offsets of topics that have been removed: a topic of the same name begins at 0.
func (s *Shard) dropRemovedTopics(op *coordinator.Op, d *metadata.Delta) {
	gone := map[string]bool{}
	for i := range d.Topics {
		t := &d.Topics[i]
		if t.Before != nil && (t.After == nil || t.After.ID != t.Before.ID) {
			gone[t.Before.Name] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	op.Atomic(false)
	for _, name := range s.names() {
		offsets, ok := s.byGroup.Get(name)
		if !ok {
			continue
		}
		for _, key := range offsets.keys() {
			if gone[key.topic] {
				offsets.drop(op, name, key)
			}
		}
	}
}
