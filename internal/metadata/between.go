package metadata

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Between says what changed from old to new, for a node that could not follow each record and had to load a snapshot. It compares
// what the images hold, so it says less than the records did: what was changed and changed back is not in it. Topics that were
// removed come first, so that a topic which was made anew under its name comes after the one before it; then by name. The images
// need not share anything. It costs a look at every partition of both.
func Between(old, new *Image) *Delta {
	d := &Delta{From: old.Offset, To: new.Offset}
	d.Topics = topicsBetween(old.Topics, new.Topics)
	d.Configs = configsBetween(old.Configs, new.Configs)
	d.Brokers = brokersBetween(old.Brokers, new.Brokers)
	d.Cluster = old.ClusterID != new.ClusterID || old.Controller != new.Controller || old.Term != new.Term ||
		old.NextProducerID != new.NextProducerID || !maps.Equal(old.Features, new.Features)
	return d
}

func topicsBetween(old, new *Topics) []TopicDelta {
	var removed, others []TopicDelta
	for before := range old.All() {
		after := new.ByID(before.ID)
		if after == nil {
			removed = append(removed, TopicDelta{Before: before})
			continue
		}
		if changed := partitionsBetween(before, after); len(changed) > 0 {
			others = append(others, TopicDelta{Before: before, After: after, Partitions: changed})
		}
	}
	for after := range new.All() {
		if old.ByID(after.ID) == nil {
			others = append(others, TopicDelta{After: after})
		}
	}
	slices.SortFunc(removed, func(a, b TopicDelta) int { return strings.Compare(a.Before.Name, b.Before.Name) })
	slices.SortFunc(others, func(a, b TopicDelta) int { return strings.Compare(a.After.Name, b.After.Name) })
	return append(removed, others...)
}

// partitionsBetween are the indexes that were added or changed, rising. A topic never loses partitions.
func partitionsBetween(before, after *Topic) []int32 {
	if before == after {
		return nil
	}
	var changed []int32
	for i := range after.Partitions {
		if i >= len(before.Partitions) || !before.Partitions[i].equal(&after.Partitions[i]) {
			changed = append(changed, int32(i))
		}
	}
	return changed
}

func configsBetween(old, new Configs) []Resource {
	var changed []Resource
	for r, settings := range old {
		if !maps.Equal(settings, new[r]) {
			changed = append(changed, r)
		}
	}
	for r := range new {
		if _, had := old[r]; !had {
			changed = append(changed, r)
		}
	}
	slices.SortFunc(changed, Resource.compare)
	return changed
}

func brokersBetween(old, new map[kafka.BrokerID]*Broker) []kafka.BrokerID {
	var changed []kafka.BrokerID
	for id, before := range old {
		if after := new[id]; after == nil || before != after && !sameBytes(before, after) {
			changed = append(changed, id)
		}
	}
	for id := range new {
		if old[id] == nil {
			changed = append(changed, id)
		}
	}
	slices.Sort(changed)
	return changed
}

// sameBytes compares what would be written, so that no field is forgotten and an empty list is none.
func sameBytes(a, b *Broker) bool {
	return bytes.Equal(AppendRecords(nil, []Record{&BrokerRecord{Broker: *a}}), AppendRecords(nil, []Record{&BrokerRecord{Broker: *b}}))
}
