package group

import (
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// initRetry is how long a host has to begin a state until it is asked again (group.share.initialize.retry.interval.ms).
const initRetry = 30 * time.Second

// initialize asks for the state of partitions that members subscribe to and that have none yet.
func (g *shareGroup) initialize(op *coordinator.Op) {
	t := *g.s.shareTopicsOf(g.id)
	var missing []TopicIDPartitions
	for _, name := range sortedKeys(g.names) {
		topic := op.Image.Topics.ByName(name)
		if topic == nil {
			continue
		}
		all := assign.Partitions{{ID: topic.ID, Partitions: partitionsTo(len(topic.Partitions))}}
		for _, lacks := range all.Minus(t.initialized).Minus(t.initializing) {
			one := TopicIDPartitions{TopicID: topic.ID, Topic: topic.Name, Partitions: lacks.Partitions, StartOffset: kafka.NoOffset}
			if len(t.initialized.Topic(topic.ID)) > 0 || len(t.initializing.Topic(topic.ID)) > 0 {
				one.StartOffset = 0
			}
			missing = append(missing, one)
		}
	}
	if len(missing) == 0 {
		return
	}
	begin := setOf(missing)
	t.initializing = t.initializing.Or(begin)
	t.deleting = withoutTopics(t.deleting, func(id kafka.UUID) bool { return len(begin.Topic(id)) > 0 })
	g.s.setShareTopics(op, g.id, t, missing...)
	op.Effect(InitShareState{Group: g.id, Epoch: g.head.Get().epoch, Partitions: missing})
	g.retryInitialize(op)
}

// retryInitialize asks again for what has not begun in time.
func (g *shareGroup) retryInitialize(op *coordinator.Op) {
	op.Schedule(timerKey("share initialize", g.id), initRetry, func(op *coordinator.Op) {
		if g, ok := named[*shareGroup](g.s, g.id); ok {
			g.askInitialize(op)
		}
	})
}

func (g *shareGroup) askInitialize(op *coordinator.Op) {
	t := g.s.shareTopicsOf(g.id)
	if len(t.initializing) == 0 {
		return
	}
	list := t.list(t.initializing)
	for i := range list {
		if len(t.initialized.Topic(list[i].TopicID)) > 0 {
			list[i].StartOffset = 0
		}
	}
	op.Effect(InitShareState{Group: g.id, Epoch: g.head.Get().epoch, Partitions: list})
	g.retryInitialize(op)
}

// deleteStates has all states of a group removed that is being removed itself.
func (s *Shard) deleteStates(op *coordinator.Op, name string) {
	t, ok := s.shareStates.Get(name)
	if !ok {
		return
	}
	next := shareTopics{deleting: t.deleting, names: t.names}
	set := t.initialized.Or(t.initializing)
	for i := range set {
		next.deleting = withID(next.deleting, set[i].ID)
	}
	s.setShareTopics(op, name, next)
	if len(set) > 0 {
		op.Effect(DeleteShareState{Group: name, Partitions: t.list(set)})
	}
}

// loadShareStates asks again for what may have been forgotten by who was to do it.
func (s *Shard) loadShareStates(op *coordinator.Op) {
	for _, name := range sortedKeys(s.shareStates) {
		t, _ := s.shareStates.Get(name)
		if gone := withoutTopics(t.deleting, func(id kafka.UUID) bool { return op.Image.Topics.ByID(id) == nil }); len(gone) > 0 {
			var list []TopicIDPartitions
			for _, id := range gone {
				n := len(op.Image.Topics.ByID(id).Partitions)
				list = append(list, TopicIDPartitions{TopicID: id, Topic: t.names[id], Partitions: partitionsTo(n), StartOffset: kafka.NoOffset})
			}
			op.Effect(DeleteShareState{Group: name, Partitions: list})
		}
		if g, ok := named[*shareGroup](s, name); ok {
			g.askInitialize(op)
		}
	}
	s.forgetRemovedTopics(op, nil)
}

// forgetRemovedTopics forgets the state of topics that are gone: the share coordinator removes it by itself. d nil: look at all.
func (s *Shard) forgetRemovedTopics(op *coordinator.Op, d *metadata.Delta) {
	if d != nil && !slices.ContainsFunc(d.Topics, func(t metadata.TopicDelta) bool {
		return t.Before != nil && (t.After == nil || t.After.ID != t.Before.ID)
	}) {
		return
	}
	isGone := func(id kafka.UUID) bool { return op.Image.Topics.ByID(id) == nil }
	without := func(set assign.Partitions) assign.Partitions {
		return slices.DeleteFunc(slices.Clone(set), func(t assign.Topic) bool { return isGone(t.ID) })
	}
	for _, name := range sortedKeys(s.shareStates) {
		t, _ := s.shareStates.Get(name)
		next := shareTopics{initializing: without(t.initializing), initialized: without(t.initialized), deleting: withoutTopics(t.deleting, isGone), names: t.names}
		if len(next.initializing) < len(t.initializing) || len(next.initialized) < len(t.initialized) || len(next.deleting) < len(t.deleting) {
			s.setShareTopics(op, name, next)
		}
	}
}
