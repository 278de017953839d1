package group

import (
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
)

// checkNames refuses what cannot be names of topics, or must not be, and numbers and texts that no topic can have.
func (t *streamsTopology) checkNames() error {
	invalid := func(format string, args ...any) error {
		return kafka.Errorf(kafka.StreamsInvalidTopology, format, args...)
	}
	var internal, bad []string
	for i := range t.subtopologies {
		sub := &t.subtopologies[i]
		if len(sub.id) > maxName {
			return invalid("The id of a subtopology is longer than %d bytes; choose a shorter one.", maxName)
		}
		names := slices.Concat(sub.sources, sub.repartitionSinks)
		for _, topic := range slices.Concat(sub.repartitionSources, sub.changelogs) {
			names = append(names, topic.name)
			if topic.partitions < 0 || topic.replication < -1 {
				return invalid("Topic %s cannot have %d partitions and a replication factor of %d.", topic.name, topic.partitions, topic.replication)
			}
			for _, c := range topic.configs {
				if max(len(c.key), len(c.value)) > maxName {
					return invalid("A setting of topic %s is longer than %d bytes.", topic.name, maxName)
				}
			}
		}
		for _, name := range names {
			switch {
			case !isTopicName(name):
				bad = append(bad, name)
			case isInternalTopic(name):
				internal = append(internal, name)
			}
		}
	}
	switch {
	case len(internal) > 0:
		return invalid("Use of Kafka internal topics %s in a Kafka Streams topology is prohibited.", strings.Join(internal, ","))
	case len(bad) > 0:
		return invalid("Topic names %s are not valid topic names.", strings.Join(bad, ","))
	}
	return nil
}

// maxTopicName is the longest name that a topic can have.
const maxTopicName = 249

// isTopicName reports whether a topic can be called so.
func isTopicName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxTopicName && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-'
	})
}

// isInternalTopic reports whether a topic is a coordinator's own.
func isInternalTopic(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state"
}
