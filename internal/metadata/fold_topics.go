package metadata

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// touched is a topic that this Fold changes. The topic is put into the table at its first touch and then written to in place, so a
// batch that changes every partition of a topic copies the topic once.
type touched struct {
	before, after *Topic             // nil as in TopicDelta
	changed       map[int32]struct{} // partitions, when before and after are both there
}

func (f *fold) ownTopics() {
	if !f.ownsTopics {
		f.ownsTopics = true
		f.img.Topics = f.img.Topics.clone()
		f.index = map[kafka.UUID]int{}
	}
}

// touch returns a topic that may be written to.
func (f *fold) touch(id kafka.UUID) (*touched, error) {
	f.ownTopics()
	if i, ok := f.index[id]; ok {
		if f.topics[i].after == nil {
			return nil, fmt.Errorf("topic %s was removed: %w", id, ErrConflict)
		}
		return &f.topics[i], nil
	}
	before := f.img.Topics.ByID(id)
	if before == nil {
		return nil, fmt.Errorf("topic %s does not exist: %w", id, ErrConflict)
	}
	after := *before
	after.Partitions = slices.Clone(before.Partitions)
	f.img.Topics.put(&after)
	return f.remember(id, touched{before: before, after: &after, changed: map[int32]struct{}{}}), nil
}

func (f *fold) remember(id kafka.UUID, t touched) *touched {
	f.index[id] = len(f.topics)
	f.topics = append(f.topics, t)
	return &f.topics[len(f.topics)-1]
}

func (f *fold) addTopic(r *TopicRecord) error {
	f.ownTopics()
	if r.Name == "" || r.ID.IsZero() {
		return fmt.Errorf("a topic without name or id: %w", ErrConflict)
	}
	if f.img.Topics.ByName(r.Name) != nil {
		return fmt.Errorf("topic %q exists: %w", r.Name, ErrConflict)
	}
	if _, known := f.index[r.ID]; known || f.img.Topics.ByID(r.ID) != nil {
		return fmt.Errorf("topic id %s of %q is in use: %w", r.ID, r.Name, ErrConflict)
	}
	partitions, err := expand(nil, r.Partitions)
	if err != nil {
		return fmt.Errorf("topic %q: %w", r.Name, err)
	}
	t := &Topic{ID: r.ID, Name: r.Name, Internal: r.Internal, Partitions: partitions}
	f.img.Topics.put(t)
	f.remember(r.ID, touched{after: t})
	return nil
}

func (f *fold) addPartitions(r *PartitionRecord) error {
	t, err := f.touch(r.TopicID)
	if err != nil {
		return err
	}
	had := len(t.after.Partitions)
	if int(r.First) != had {
		return fmt.Errorf("topic %q has %d partitions, the record adds from %d: %w", t.after.Name, had, r.First, ErrConflict)
	}
	all, err := expand(t.after.Partitions, r.Runs)
	if err != nil {
		return fmt.Errorf("topic %q: %w", t.after.Name, err)
	}
	t.after.Partitions = all
	f.img.Topics.partitions += len(all) - had
	if t.before != nil {
		for i := had; i < len(all); i++ {
			t.changed[int32(i)] = struct{}{}
		}
	}
	return nil
}

func (f *fold) changePartition(r *PartitionChangeRecord) error {
	t, err := f.touch(r.TopicID)
	if err != nil {
		return err
	}
	if r.Partition < 0 || int(r.Partition) >= len(t.after.Partitions) {
		return fmt.Errorf("topic %q has no partition %d: %w", t.after.Name, r.Partition, ErrConflict)
	}
	old := t.after.Partitions[r.Partition]
	if r.State.LeaderEpoch < old.LeaderEpoch || r.State.PartitionEpoch < old.PartitionEpoch {
		return fmt.Errorf("partition %s-%d cannot go back from epochs %d and %d to %d and %d: %w", t.after.Name, r.Partition,
			old.LeaderEpoch, old.PartitionEpoch, r.State.LeaderEpoch, r.State.PartitionEpoch, ErrConflict)
	}
	t.after.Partitions[r.Partition] = r.State
	if t.before != nil {
		t.changed[r.Partition] = struct{}{}
	}
	return nil
}

func (f *fold) removeTopic(r *RemoveTopicRecord) error {
	f.ownTopics()
	topic := f.img.Topics.ByID(r.ID)
	if topic == nil {
		return fmt.Errorf("topic %s does not exist: %w", r.ID, ErrConflict)
	}
	f.img.Topics.remove(topic)
	f.dropConfigs(Resource{Type: ResourceTopic, Name: topic.Name})
	if i, ok := f.index[r.ID]; ok {
		f.topics[i].after = nil
		return nil
	}
	f.remember(r.ID, touched{before: topic})
	return nil
}

// finishTopics moves what was touched into the delta.
func (f *fold) finishTopics() {
	if !f.ownsTopics {
		return
	}
	t := f.img.Topics
	t.byName.seal()
	t.byID.seal()
	t.byShape.seal()
	for _, c := range f.topics {
		if c.before == nil && c.after == nil {
			continue
		}
		d := TopicDelta{Before: c.before, After: c.after}
		if c.before != nil && c.after != nil {
			d.Partitions = slices.Sorted(maps.Keys(c.changed))
		}
		f.delta.Topics = append(f.delta.Topics, d)
	}
}

// expand appends the partitions of the runs to a copy of list. Partitions of one run share their slices; so do runs that are equal.
func expand(list []Partition, runs []PartitionRun) ([]Partition, error) {
	total := len(list)
	for _, r := range runs {
		if r.Count < 1 || int(r.Count) > MaxPartitions-total {
			return nil, fmt.Errorf("a run of %d partitions after %d; a topic has at most %d: %w", r.Count, total, MaxPartitions, ErrConflict)
		}
		total += int(r.Count)
	}
	shared := map[string][]kafka.BrokerID{}
	all := append(make([]Partition, 0, total), list...)
	for _, r := range runs {
		p := r.Partition
		p.Replicas = share(shared, p.Replicas)
		p.ISR = share(shared, p.ISR)
		for range r.Count {
			all = append(all, p)
		}
	}
	return all, nil
}

// share returns the slice that was first seen with these ids.
func share(seen map[string][]kafka.BrokerID, ids []kafka.BrokerID) []kafka.BrokerID {
	var buf [64]byte
	key := appendBrokers(buf[:0], ids)
	if same, ok := seen[string(key)]; ok {
		return same
	}
	seen[string(key)] = ids
	return ids
}
