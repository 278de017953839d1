package metadata

import (
	"iter"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
)

// MaxPartitions is the most partitions a topic may have. It bounds what one record of a few bytes can make this node allocate;
// what users may ask for is the controller's to limit.
const MaxPartitions = 1_000_000

// Topics finds topics by name and by id. Nothing in it changes. A nil *Topics has none.
type Topics struct {
	byName shards[string, *Topic]
	byID   shards[kafka.UUID, *Topic]
	// byShape finds a topic by its name with every '.' turned into '_'; it has only the names that contain either. Kafka refuses
	// two topics of one shape because their metric names would be the same.
	byShape    shards[string, *Topic]
	partitions int
}

// Topic is a topic with its partitions 0..n-1.
type Topic struct {
	ID         kafka.UUID
	Name       string
	Internal   bool
	Partitions []Partition // by index
}

// Partition is where a partition lives. Partitions with equal replicas share one slice, so no slice in it may be written to.
type Partition struct {
	Replicas       []kafka.BrokerID
	ISR            []kafka.BrokerID
	Leader         kafka.BrokerID // NoBroker: none
	LeaderEpoch    kafka.LeaderEpoch
	PartitionEpoch int32
	// ELR are the eligible leader replicas (KIP-966): not in sync now, but they have everything up to the high watermark of the time when
	// they were last, because the watermark has not moved since. None is in ISR.
	ELR []kafka.BrokerID
	// Adding and Removing are replicas that a reassignment under way brings and takes; both are in Replicas.
	Adding, Removing []kafka.BrokerID
}

// Reassigning reports whether a reassignment is under way.
func (p *Partition) Reassigning() bool { return len(p.Adding)+len(p.Removing) > 0 }

func (p *Partition) equal(q *Partition) bool {
	return p.Leader == q.Leader && p.LeaderEpoch == q.LeaderEpoch && p.PartitionEpoch == q.PartitionEpoch &&
		slices.Equal(p.Replicas, q.Replicas) && slices.Equal(p.ISR, q.ISR) && slices.Equal(p.ELR, q.ELR) &&
		slices.Equal(p.Adding, q.Adding) && slices.Equal(p.Removing, q.Removing)
}

// ByName returns the topic of that name, or nil.
func (t *Topics) ByName(name string) *Topic {
	if t == nil {
		return nil
	}
	return t.byName.get(nameShard(name), name)
}

// ByID returns the topic with that id, or nil.
func (t *Topics) ByID(id kafka.UUID) *Topic {
	if t == nil {
		return nil
	}
	return t.byID.get(idShard(id), id)
}

// Colliding returns a topic whose name is another than name but differs from it only by '.' in place of '_' or the reverse, or nil.
func (t *Topics) Colliding(name string) *Topic {
	shape, has := shapeOf(name)
	if t == nil || !has {
		return nil
	}
	if other := t.byShape.get(nameShard(shape), shape); other != nil && other.Name != name {
		return other
	}
	return nil
}

// Len is the number of topics.
func (t *Topics) Len() int {
	if t == nil {
		return 0
	}
	return t.byName.size
}

// PartitionCount is the number of partitions of all topics.
func (t *Topics) PartitionCount() int {
	if t == nil {
		return 0
	}
	return t.partitions
}

// All goes through the topics in no particular order.
func (t *Topics) All() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		if t != nil {
			t.byName.each(yield)
		}
	}
}

// Sorted lists the topics by name.
func (t *Topics) Sorted() []*Topic {
	list := make([]*Topic, 0, t.Len())
	for topic := range t.All() {
		list = append(list, topic)
	}
	slices.SortFunc(list, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// put adds or replaces a topic. Only Fold calls it, on a *Topics it has made.
func (t *Topics) put(topic *Topic) {
	if old := t.ByID(topic.ID); old != nil {
		t.partitions -= len(old.Partitions)
	}
	t.partitions += len(topic.Partitions)
	t.byID.put(idShard(topic.ID), topic.ID, topic)
	t.byName.put(nameShard(topic.Name), topic.Name, topic)
	if shape, has := shapeOf(topic.Name); has {
		t.byShape.put(nameShard(shape), shape, topic)
	}
}

func (t *Topics) remove(topic *Topic) {
	t.partitions -= len(topic.Partitions)
	t.byID.remove(idShard(topic.ID), topic.ID)
	t.byName.remove(nameShard(topic.Name), topic.Name)
	if shape, has := shapeOf(topic.Name); has {
		if at := t.byShape.get(nameShard(shape), shape); at != nil && at.ID == topic.ID {
			t.byShape.remove(nameShard(shape), shape)
		}
	}
}

// clone returns a copy whose shards are still shared; put and remove copy the one they change.
func (t *Topics) clone() *Topics {
	if t == nil {
		return &Topics{}
	}
	return &Topics{
		byName: t.byName.clone(), byID: t.byID.clone(), byShape: t.byShape.clone(),
		partitions: t.partitions,
	}
}

// shapeOf is name with '_' for '.'; has is false when it contains neither, for then nothing can collide.
func shapeOf(name string) (shape string, has bool) {
	if !strings.ContainsAny(name, "._") {
		return "", false
	}
	return strings.ReplaceAll(name, ".", "_"), true
}
