package group

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// maxTopology is how many bytes the record of a topology may have: it has to fit into a batch, and every group keeps its own (P6).
const maxTopology = 512 << 10

// streamsTopology is what the members of a streams group compute, as far as the group needs to know. It is never changed.
type streamsTopology struct {
	epoch         int32
	subtopologies []streamsSubtopology // by id
}

// streamsSubtopology is a part of a topology that is connected without repartition topics: each of its tasks reads one partition of each source.
// Lists are sorted, so that two clients which say the same have the same topology.
type streamsSubtopology struct {
	id                 string
	sources            []string
	regexes            []string // Kafka 4.4 takes none from clients, but its records have room for them
	changelogs         []streamsTopic
	repartitionSinks   []string
	repartitionSources []streamsTopic
	copartitioned      []copartitionGroup
}

// streamsTopic is a topic that belongs to the group, and that is created for it.
type streamsTopic struct {
	name        string
	partitions  int32 // 0: as many as the subtopology has tasks
	replication int16 // 0: the broker's default
	configs     []setting
}

// setting is one setting of a topic or of an assignment.
type setting struct{ key, value string }

// copartitionGroup is sources that must have equally many partitions, as indexes of the lists of the subtopology.
type copartitionGroup struct{ sources, regexes, repartitionSources []int16 }

// topologyOf reads and checks the topology of a request, and keeps nothing of its memory.
func topologyOf(req *kmsg.StreamsGroupHeartbeatRequestTopology) (*streamsTopology, error) {
	invalid := func(format string, args ...any) (*streamsTopology, error) {
		return nil, kafka.Errorf(kafka.StreamsInvalidTopology, format, args...)
	}
	if req.Epoch < 0 {
		return invalid("Topology epoch must be non-negative.")
	}
	t := &streamsTopology{epoch: req.Epoch}
	for i := range req.Subtopologies {
		sub := &req.Subtopologies[i]
		if len(sub.SourceTopicRegex) > 0 {
			return nil, kafka.Errorf(kafka.InvalidRequest, "Regular expressions for source topics are not supported yet.")
		}
		for k := range sub.StateChangelogTopics {
			if c := &sub.StateChangelogTopics[k]; c.NumPartitions != 0 {
				return invalid("Changelog topic %s must have an undefined partition count, but it is set to %d.", c.Topic, c.NumPartitions)
			}
		}
		if max(len(sub.SourceTopics), len(sub.RepartitionSourceTopics)) > math.MaxInt16 {
			return invalid("Subtopology %s has more than %d source topics.", sub.SubtopologyID, math.MaxInt16)
		}
		s := streamsSubtopology{
			id: strings.Clone(sub.SubtopologyID), sources: clonedStrings(sub.SourceTopics), repartitionSinks: clonedStrings(sub.RepartitionSinkTopics),
			changelogs: streamsTopicsOf(sub.StateChangelogTopics), repartitionSources: streamsTopicsOf(sub.RepartitionSourceTopics),
		}
		for _, c := range sub.CopartitionGroups {
			if !within(c.SourceTopics, len(s.sources)) || !within(c.RepartitionSourceTopics, len(s.repartitionSources)) || len(c.SourceTopicRegex) > 0 {
				return invalid("A copartition group of subtopology %s refers to a topic that the subtopology does not list.", s.id)
			}
			s.copartitioned = append(s.copartitioned, copartitionGroup{sources: slices.Clone(c.SourceTopics), repartitionSources: slices.Clone(c.RepartitionSourceTopics)})
		}
		t.subtopologies = append(t.subtopologies, s)
	}
	t.normalize()
	for i := range t.subtopologies {
		if i > 0 && t.subtopologies[i].id == t.subtopologies[i-1].id {
			return invalid("Subtopology %s is listed twice.", t.subtopologies[i].id)
		}
	}
	if err := t.checkNames(); err != nil {
		return nil, err
	}
	if v, _ := (&streamsTopologyRecord{topology: t}).AppendValue(nil); len(v) > maxTopology {
		return invalid("The topology takes %d bytes, which is more than %d; split the application.", len(v), maxTopology)
	}
	return t, nil
}

// within reports whether all indexes are those of a list of n elements.
func within(indexes []int16, n int) bool {
	return !slices.ContainsFunc(indexes, func(i int16) bool { return i < 0 || int(i) >= n })
}

func clonedStrings(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.Clone(s)
	}
	return out
}

func streamsTopicsOf(list []kmsg.TopicInfo) []streamsTopic {
	out := make([]streamsTopic, len(list))
	for i := range list {
		t := &list[i]
		out[i] = streamsTopic{name: strings.Clone(t.Topic), partitions: t.NumPartitions, replication: t.ReplicationFactor}
		for _, c := range t.Configs {
			out[i].configs = append(out[i].configs, setting{strings.Clone(c.Key), strings.Clone(c.Value)})
		}
	}
	return out
}

// normalize sorts everything, and brings the indexes of copartition groups along.
func (t *streamsTopology) normalize() {
	slices.SortStableFunc(t.subtopologies, func(a, b streamsSubtopology) int { return cmp.Compare(a.id, b.id) })
	byName := func(a, b streamsTopic) int { return cmp.Compare(a.name, b.name) }
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		sources := sortWithIndexes(s.sources, cmp.Compare[string])
		regexes := sortWithIndexes(s.regexes, cmp.Compare[string])
		repartition := sortWithIndexes(s.repartitionSources, byName)
		slices.SortStableFunc(s.changelogs, byName)
		slices.Sort(s.repartitionSinks)
		for _, list := range [...][]streamsTopic{s.changelogs, s.repartitionSources} {
			for k := range list {
				slices.SortStableFunc(list[k].configs, func(a, b setting) int { return cmp.Compare(a.key, b.key) })
			}
		}
		for k := range s.copartitioned {
			c := &s.copartitioned[k]
			moveIndexes(c.sources, sources)
			moveIndexes(c.regexes, regexes)
			moveIndexes(c.repartitionSources, repartition)
		}
		slices.SortStableFunc(s.copartitioned, copartitionGroup.compare)
	}
}

// sortWithIndexes sorts a list and returns where each element of before is now.
func sortWithIndexes[E any](list []E, compare func(a, b E) int) (to []int16) {
	from := make([]int, len(list))
	for i := range from {
		from[i] = i
	}
	old := slices.Clone(list)
	slices.SortStableFunc(from, func(a, b int) int { return compare(old[a], old[b]) })
	to = make([]int16, len(list))
	for i, f := range from {
		list[i] = old[f]
		to[f] = int16(i)
	}
	return to
}

func moveIndexes(indexes, to []int16) {
	for i, k := range indexes {
		indexes[i] = to[k]
	}
	slices.Sort(indexes)
}

func (c copartitionGroup) compare(d copartitionGroup) int {
	return cmp.Or(slices.Compare(c.sources, d.sources), slices.Compare(c.regexes, d.regexes), slices.Compare(c.repartitionSources, d.repartitionSources))
}

// equal reports whether both are the same topology, in the same epoch.
func (t *streamsTopology) equal(o *streamsTopology) bool {
	if t == o {
		return true
	}
	sameTopic := func(a, b streamsTopic) bool {
		return a.name == b.name && a.partitions == b.partitions && a.replication == b.replication && slices.Equal(a.configs, b.configs)
	}
	return t.epoch == o.epoch && slices.EqualFunc(t.subtopologies, o.subtopologies, func(a, b streamsSubtopology) bool {
		return a.id == b.id && slices.Equal(a.sources, b.sources) && slices.Equal(a.regexes, b.regexes) && slices.Equal(a.repartitionSinks, b.repartitionSinks) &&
			slices.EqualFunc(a.changelogs, b.changelogs, sameTopic) && slices.EqualFunc(a.repartitionSources, b.repartitionSources, sameTopic) &&
			slices.EqualFunc(a.copartitioned, b.copartitioned, func(c, d copartitionGroup) bool { return c.compare(d) == 0 })
	})
}

// reads is the subtopology that reads a topic, or nil.
func (t *streamsTopology) reads(topic string) *streamsSubtopology {
	if t == nil {
		return nil
	}
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		if slices.Contains(s.sources, topic) || hasTopic(s.repartitionSources, topic) {
			return s
		}
	}
	return nil
}

func hasTopic(list []streamsTopic, name string) bool {
	return slices.ContainsFunc(list, func(t streamsTopic) bool { return t.name == name })
}

// uses reports whether a topic is one of those required.
func (t *streamsTopology) uses(topic string) bool {
	return t != nil && (t.reads(topic) != nil || slices.ContainsFunc(t.subtopologies, func(s streamsSubtopology) bool { return hasTopic(s.changelogs, topic) }))
}

// required is the names of all topics that must be there before tasks can run; some may be listed twice.
func (t *streamsTopology) required() (names []string) {
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		names = append(names, s.sources...)
		for _, topic := range slices.Concat(s.repartitionSources, s.changelogs) {
			names = append(names, topic.name)
		}
	}
	return names
}
