package replica

import (
	"iter"
	"maps"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// Topic is a topic as far as its partitions are on this node. Nothing in it changes.
type Topic struct {
	ID       kafka.UUID
	Name     string
	Internal bool
	Stats    *partition.Stats

	settings   *partition.Settings
	partitions []*partition.Partition // by index; nil: not on this node
}

// Partition returns a partition. Errors: UnknownTopicOrPartition, or NotLeaderOrFollower if it is on other nodes only.
func (t *Topic) Partition(i int32) (*partition.Partition, error) {
	if i < 0 || int(i) >= len(t.partitions) {
		return nil, kafka.UnknownTopicOrPartition
	}
	if p := t.partitions[i]; p != nil {
		return p, nil
	}
	return nil, kafka.NotLeaderOrFollower
}

// Partitions goes through those on this node.
func (t *Topic) Partitions() iter.Seq[*partition.Partition] {
	return func(yield func(*partition.Partition) bool) {
		for _, p := range t.partitions {
			if p != nil && !yield(p) {
				return
			}
		}
	}
}

// tableShards makes a change to one of many topics copy a few of them; see metadata, which does the same.
const tableShards = 256

// table finds topics. It never changes once it is published; next makes the one that follows.
type table struct {
	byName [tableShards]map[string]*Topic
	byID   [tableShards]map[kafka.UUID]*Topic
}

// shardOf is FNV-1a of the name folded to eight bits.
func shardOf(name string) uint8 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return uint8(h ^ h>>8 ^ h>>16 ^ h>>24)
}

func (t *table) name(name string) *Topic { return t.byName[shardOf(name)][name] }

// id relies on ids being random.
func (t *table) id(id kafka.UUID) *Topic { return t.byID[id[0]][id] }

func (t *table) all() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, shard := range t.byName {
			for _, topic := range shard {
				if !yield(topic) {
					return
				}
			}
		}
	}
}

// edit is the table that follows, while it is being made.
type edit struct {
	*table
	names, ids [tableShards]bool // shards that are copies already
	changed    []kafka.UUID      // topics that were put
}

func (t *table) edit() *edit {
	next := *t
	return &edit{table: &next}
}

func (e *edit) put(t *Topic) {
	e.changed = append(e.changed, t.ID)
	own(&e.byName, &e.names, shardOf(t.Name))[t.Name] = t
	own(&e.byID, &e.ids, t.ID[0])[t.ID] = t
}

// remove forgets a topic. A newer topic may have its name already.
func (e *edit) remove(t *metadata.Topic) {
	if now := e.name(t.Name); now != nil && now.ID == t.ID {
		delete(own(&e.byName, &e.names, shardOf(t.Name)), t.Name)
	}
	delete(own(&e.byID, &e.ids, t.ID[0]), t.ID)
}

func own[K comparable](shards *[tableShards]map[K]*Topic, owned *[tableShards]bool, i uint8) map[K]*Topic {
	if !owned[i] {
		owned[i] = true
		if shards[i] = maps.Clone(shards[i]); shards[i] == nil {
			shards[i] = map[K]*Topic{}
		}
	}
	return shards[i]
}
