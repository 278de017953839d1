package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// partitionCounter knows numbers of partitions: those of topics that exist, and those decided for topics of the group. They are decided from the
// sources on: a repartition topic has as many as the subtopology that writes it has tasks, unless it says a number or has to match others; a
// changelog has one for each task.
type partitionCounter struct {
	img     *metadata.Image
	decided map[string]int32
}

// of is how many partitions a topic has or will have; 0: that is not known.
func (c *partitionCounter) of(topic string) int32 {
	if t := c.img.Topics.ByName(topic); t != nil {
		return int32(len(t.Partitions))
	}
	return c.decided[topic]
}

func (c *partitionCounter) decide(t *streamsTopology) error {
	var missing []string
	for i := range t.subtopologies {
		for _, topic := range t.subtopologies[i].sources {
			if c.img.Topics.ByName(topic) == nil {
				missing = append(missing, topic)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return &topicProblem{statusMissingSourceTopics, "Source topics " + summary(slices.Compact(missing)) + " are missing."}
	}
	if err := c.decideRepartition(t); err != nil {
		return err
	}
	for i := range t.subtopologies {
		for _, group := range t.subtopologies[i].copartitioned {
			if err := c.enforce(&t.subtopologies[i], group); err != nil {
				return err
			}
		}
	}
	for i := range t.subtopologies {
		s := &t.subtopologies[i]
		n, ok := c.tasks(s)
		if !ok {
			return kafka.Errorf(kafka.StreamsInvalidTopology, "No source topics found for subtopology %s", s.id)
		}
		for _, topic := range s.changelogs {
			c.decided[topic.name] = n
		}
	}
	return nil
}

// tasks is the most partitions that a source of the subtopology has; ok is false if it has no source.
func (c *partitionCounter) tasks(s *streamsSubtopology) (most int32, ok bool) {
	for _, topic := range s.sources {
		most, ok = max(most, c.of(topic)), true
	}
	for _, topic := range s.repartitionSources {
		most, ok = max(most, c.of(topic.name)), true
	}
	return most, ok
}

// decideRepartition goes downstream until all numbers are known.
func (c *partitionCounter) decideRepartition(t *streamsTopology) error {
	for i := range t.subtopologies {
		for _, topic := range t.subtopologies[i].repartitionSources {
			if topic.partitions != 0 {
				c.decided[topic.name] = topic.partitions
			}
		}
	}
	for open, progress := true, true; open; {
		if !progress {
			return kafka.Errorf(kafka.StreamsInvalidTopology, "Failed to compute number of partitions for all repartition topics. There may be loops in the topology that cannot be resolved.")
		}
		open, progress = false, false
		for i := range t.subtopologies {
			s := &t.subtopologies[i]
			n := int32(0)
			for _, topic := range s.repartitionSources {
				n = max(n, c.decided[topic.name])
			}
			for _, topic := range s.sources {
				n = max(n, c.of(topic))
			}
			for _, sink := range s.repartitionSinks {
				switch {
				case c.decided[sink] != 0:
				case n == 0:
					open = true
				default:
					c.decided[sink], progress = n, true
				}
			}
		}
	}
	for i := range t.subtopologies {
		for _, topic := range t.subtopologies[i].repartitionSources {
			if c.decided[topic.name] == 0 {
				return kafka.Errorf(kafka.StreamsInvalidTopology, "Failed to compute number of partitions for all repartition topics, because a repartition source topic is never used as a sink topic.")
			}
		}
	}
	return nil
}

// enforce sees to it that the topics of a copartition group have equally many partitions: those from outside must, and the repartition topics follow
// them; if there are only repartition topics they follow those that say a number, or the largest.
func (c *partitionCounter) enforce(s *streamsSubtopology, group copartitionGroup) error {
	external, repartition, fixed := map[string]int32{}, map[string]int32{}, map[string]int32{}
	for _, i := range group.repartitionSources {
		topic := &s.repartitionSources[i]
		repartition[topic.name] = c.of(topic.name)
		if topic.partitions != 0 {
			fixed[topic.name] = topic.partitions
		}
	}
	for _, i := range group.sources {
		if name := s.sources[i]; repartition[name] == 0 {
			external[name] = c.of(name)
		}
	}
	n, err := int32(0), error(nil)
	switch {
	case len(external) > 0:
		n, err = same(external)
	case len(fixed) > 0:
		n, err = same(fixed)
	default:
		for _, has := range repartition {
			n = max(n, has)
		}
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(repartition)) {
		if has, ok := fixed[name]; ok && has != n {
			return &topicProblem{statusIncorrectlyPartitioned, fmt.Sprintf("Number of partitions [%d] of repartition topic [%s] doesn't match number of partitions [%d] of the source topic.", has, name, n)}
		}
		c.decided[name] = n
	}
	return nil
}

// same is the number that all have.
func same(counts map[string]int32) (n int32, err error) {
	names := slices.Sorted(maps.Keys(counts))
	list, differ := make([]string, len(names)), false
	for i, name := range names {
		list[i] = fmt.Sprintf("%s=%d", name, counts[name])
		differ = differ || counts[name] != counts[names[0]]
	}
	if differ {
		return 0, &topicProblem{statusIncorrectlyPartitioned, "Following topics do not have the same number of partitions: [{" + strings.Join(list, ", ") + "}]"}
	}
	return counts[names[0]], nil
}
