package group

import (
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// InitShareState is an effect: the state of partitions of a share group is to begin, for members cannot read a partition before. The host
// answers with Shard.ShareStateInitialized. It is asked again after initRetry, and after a load.
type InitShareState struct {
	Group      string
	Epoch      int32 // of the state
	Partitions []TopicIDPartitions
}

// DeleteShareState is an effect: the state of partitions of a share group is to go. The host answers with Shard.ShareStateDeleted. It is asked
// again after a load. The group itself may be gone already.
type DeleteShareState struct {
	Group      string
	Partitions []TopicIDPartitions
}

// TopicIDPartitions are partitions of one topic.
type TopicIDPartitions struct {
	TopicID    [16]byte
	Topic      string
	Partitions []int32
	// StartOffset is where the state of InitShareState begins: kafka.NoOffset for what share.auto.offset.reset says; 0 for partitions that came
	// to a topic whose others have begun, for nothing in them may be missed.
	StartOffset kafka.Offset
}

// shareTopics is which partitions of a share group have a state (record type 15). It outlives the group until the last state is gone. It is
// never changed.
type shareTopics struct {
	initializing, initialized assign.Partitions
	deleting                  []kafka.UUID // sorted
	names                     map[kafka.UUID]string
}

func (t *shareTopics) isEmpty() bool {
	return len(t.initializing) == 0 && len(t.initialized) == 0 && len(t.deleting) == 0
}

// shareTopicsOf returns those of a group, empty if it has none.
func (s *Shard) shareTopicsOf(name string) *shareTopics {
	if t, ok := s.shareStates.Get(name); ok {
		return t
	}
	return &shareTopics{}
}

// setShareTopics emits a change. more names topics that are new.
func (s *Shard) setShareTopics(op *coordinator.Op, name string, t shareTopics, more ...TopicIDPartitions) {
	names := map[kafka.UUID]string{}
	keep := func(id kafka.UUID) {
		names[id] = t.names[id]
		for i := range more {
			if more[i].TopicID == id {
				names[id] = more[i].Topic
			}
		}
	}
	for _, set := range [...]assign.Partitions{t.initializing, t.initialized} {
		for i := range set {
			keep(set[i].ID)
		}
	}
	for _, id := range t.deleting {
		keep(id)
	}
	t.names = names
	r := &shareStateRecord{group: name, topics: &t}
	if _, lives := named[*shareGroup](s, name); !lives && t.isEmpty() {
		r.topics = nil
	}
	op.Emit(r)
}

// list names a set of partitions.
func (t *shareTopics) list(set assign.Partitions) []TopicIDPartitions {
	list := make([]TopicIDPartitions, len(set))
	for i := range set {
		list[i] = TopicIDPartitions{TopicID: set[i].ID, Topic: t.names[set[i].ID], Partitions: set[i].Partitions, StartOffset: kafka.NoOffset}
	}
	return list
}

// setOf is the partitions of a list.
func setOf(list []TopicIDPartitions) assign.Partitions {
	topics := make([]assign.Topic, len(list))
	for i := range list {
		topics[i] = assign.Topic{ID: list[i].TopicID, Partitions: list[i].Partitions}
	}
	return assign.Of(topics)
}

func withoutTopics(ids []kafka.UUID, gone func(kafka.UUID) bool) []kafka.UUID {
	return slices.DeleteFunc(slices.Clone(ids), gone)
}

// ShareStateInitialized notes that the state of partitions has begun: members are assigned them from now on. Partitions of a group that is gone
// are ignored, their state goes with it.
func (s *Shard) ShareStateInitialized(op *coordinator.Op, name string, topics []TopicIDPartitions) {
	g, ok := named[*shareGroup](s, name)
	if !ok {
		return
	}
	t, begun := *s.shareTopicsOf(name), setOf(topics)
	// What is no longer asked for is not taken: its topic is gone, or it is to be deleted.
	begun = begun.And(t.initializing)
	if len(begun) == 0 {
		return
	}
	t.initializing, t.initialized = t.initializing.Minus(begun), t.initialized.Or(begun)
	s.setShareTopics(op, g.id, t)
	if !g.isEmpty() {
		g.bump(op)
		g.retarget(op)
	}
}

// ShareStateDeleted notes that the state of topics is gone.
func (s *Shard) ShareStateDeleted(op *coordinator.Op, name string, topics []TopicIDPartitions) {
	t, ok := s.shareStates.Get(name)
	if !ok {
		return
	}
	next := *t
	next.deleting = withoutTopics(t.deleting, func(id kafka.UUID) bool {
		return slices.ContainsFunc(topics, func(gone TopicIDPartitions) bool { return gone.TopicID == id })
	})
	if len(next.deleting) < len(t.deleting) {
		s.setShareTopics(op, name, next)
	}
}

// SharePartitions lists the partitions of a share group whose state has begun, by topic id. GROUP_ID_NOT_FOUND.
func (s *Shard) SharePartitions(v coordinator.View, name string) ([]TopicIDPartitions, error) {
	g, _ := s.groups.GetAt(name, v.Committed)
	if _, ok := g.(*shareGroup); !ok {
		return nil, kafka.Errorf(kafka.GroupIDNotFound, "Share group %s not found.", name)
	}
	t, ok := s.shareStates.GetAt(name, v.Committed)
	if !ok {
		return nil, nil
	}
	return t.list(t.initialized), nil
}

// AlterShareState prepares the state of partitions to begin anew, and makes the group if there is none. epoch is that of the new state; it is
// higher than any before, so that who still works with the old one is fenced. The host begins the state and calls ShareStateInitialized.
// NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND (the name belongs to a group of another kind).
func (s *Shard) AlterShareState(op *coordinator.Op, name string, topics []TopicIDPartitions) (epoch int32, err error) {
	g, err := s.shareGroupFor(name, true)
	if err != nil {
		return 0, err
	}
	if err := g.checkDelete(); err != nil {
		return 0, err
	}
	t, begin := *s.shareTopicsOf(g.id), setOf(topics)
	t.initializing = t.initializing.Or(begin)
	t.deleting = withoutTopics(t.deleting, func(id kafka.UUID) bool { return len(begin.Topic(id)) > 0 })
	g.bump(op)
	s.setShareTopics(op, g.id, t, topics...)
	op.Note(g.id, "offsets are set by an admin")
	return g.head.Get().epoch, nil
}

// DeleteShareState prepares the state of topics to go, and returns their partitions. A topic that the group does not know is left out. The host
// removes the state and calls ShareStateDeleted. NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND.
func (s *Shard) DeleteShareState(op *coordinator.Op, name string, topics []string) ([]TopicIDPartitions, error) {
	g, err := s.shareGroupFor(name, false)
	if err != nil {
		return nil, err
	}
	if err := g.checkDelete(); err != nil {
		return nil, err
	}
	t := *s.shareTopicsOf(g.id)
	var gone []assign.Topic
	for _, topic := range slices.Compact(slices.Sorted(slices.Values(topics))) {
		known := op.Image.Topics.ByName(topic)
		if known == nil {
			continue
		}
		_, again := slices.BinarySearchFunc(t.deleting, known.ID, compareIDs)
		if has := t.initialized.Topic(known.ID); len(has) > 0 {
			gone = append(gone, assign.Topic{ID: known.ID, Partitions: has})
		} else if again {
			gone = append(gone, assign.Topic{ID: known.ID, Partitions: partitionsTo(len(known.Partitions))})
		}
	}
	set := assign.Of(gone)
	if len(set) == 0 {
		return nil, nil
	}
	t.initialized = t.initialized.Minus(set)
	for i := range set {
		t.deleting = withID(t.deleting, set[i].ID)
	}
	s.setShareTopics(op, g.id, t)
	after, _ := s.shareStates.Get(g.id)
	return after.list(set), nil
}

func compareIDs(a, b kafka.UUID) int { return slices.Compare(a[:], b[:]) }

func withID(ids []kafka.UUID, id kafka.UUID) []kafka.UUID {
	if i, ok := slices.BinarySearchFunc(ids, id, compareIDs); !ok {
		return slices.Insert(slices.Clone(ids), i, id)
	}
	return ids
}

func partitionsTo(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}
