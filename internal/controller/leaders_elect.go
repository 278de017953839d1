package controller

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Kinds of elections, with Kafka's codes (ElectLeaders).
const (
	PreferredElection int8 = 0 // the first of the replicas leads, if it is in sync
	UncleanElection   int8 = 1 // some replica leads, even if records are lost by that
)

// ElectedPartition answers for one partition.
type ElectedPartition struct {
	kafka.TopicPartition
	Err error
}

// ElectLeaders elects leaders where an operator wants it; nil partitions: of all, and those that need none are not in the answer.
//
// Errors: InvalidRequest (another kind), UnknownTopicOrPartition, ElectionNotNeeded, PreferredLeaderNotAvailable,
// EligibleLeadersNotAvailable, PolicyViolation (too many at a time).
func ElectLeaders(env *Env, img *metadata.Image, kind int8, partitions []kafka.TopicPartition) ([]metadata.Record, []ElectedPartition) {
	c := newChanges(env, img)
	var answers []ElectedPartition
	if partitions != nil {
		c.made = make(map[partitionKey]metadata.Partition, len(partitions))
		answers = make([]ElectedPartition, 0, len(partitions))
		for _, tp := range partitions {
			answers = append(answers, ElectedPartition{tp, c.electIn(img.Topics.ByName(tp.Topic), tp, kind)})
		}
		return c.records, answers
	}
	for _, t := range topicsWith(img, func(p *metadata.Partition) bool { return kind != UncleanElection || p.Leader == kafka.NoBroker }) {
		for i := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}
			if err := c.electIn(t, tp, kind); kafka.CodeOf(err) != kafka.ElectionNotNeeded {
				answers = append(answers, ElectedPartition{tp, err})
			}
		}
	}
	return c.records, answers
}

func (c *changes) electIn(t *metadata.Topic, tp kafka.TopicPartition, kind int8) error {
	if kind != PreferredElection && kind != UncleanElection {
		return kafka.Errorf(kafka.InvalidRequest, "Unknown election type %d", kind)
	}
	if t == nil {
		return kafka.Errorf(kafka.UnknownTopicOrPartition, "No such topic as %s", tp.Topic)
	}
	p := c.partition(t, tp.Partition)
	if p == nil {
		return kafka.Errorf(kafka.UnknownTopicOrPartition, "No such partition as %s", tp)
	}
	g := asIs(p)
	none := kafka.PreferredLeaderNotAvailable
	if g.how = preferred; kind == UncleanElection {
		g.how, none = unclean, kafka.EligibleLeadersNotAvailable
	}
	if kind == PreferredElection && p.Leader == p.Replicas[0] || kind == UncleanElection && p.Leader != kafka.NoBroker {
		return kafka.Errorf(kafka.ElectionNotNeeded, "%s is led by broker %d", tp, p.Leader)
	}
	if c.full() {
		return kafka.Errorf(kafka.PolicyViolation, "More than %d leaders cannot be elected at a time; ask again for the others.", maxChanges)
	}
	next, _ := c.settle(t, p, g)
	if next.Leader == p.Leader {
		return kafka.Errorf(none, "no broker can lead %s as asked: its replicas are %v, in sync are %v", tp, p.Replicas, p.ISR)
	}
	c.put(t, tp.Partition, next)
	return nil
}
