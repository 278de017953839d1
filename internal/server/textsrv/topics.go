package textsrv

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// listTopics writes a line "<topic> <partitions>" for each but the broker's own, and END with their number.
func (c *connection) listTopics() {
	topics := slices.DeleteFunc(slices.Clone(c.server.verbs.Image().Topics.Sorted()), func(t *metadata.Topic) bool { return t.Internal })
	for _, t := range topics {
		c.out.write(fmt.Sprintf("%s %d\n", t.Name, len(t.Partitions)))
	}
	c.out.write(fmt.Sprintf("END %d\n", len(topics)))
}

func (c *connection) createTopic(cmd *command) {
	created := c.server.verbs.CreateTopics(c.ctx, c.session, []broker.NewTopic{{Name: cmd.topic, Partitions: cmd.partitions, Replication: -1}}, false)
	if len(created) != 1 {
		c.fail(errNoAnswer)
	} else if err := created[0].Err; err != nil {
		c.fail(explainTopic(cmd.topic, err))
	} else {
		c.out.write(fmt.Sprintf("OK %s %d\n", created[0].Name, created[0].Partitions))
	}
}

func (c *connection) deleteTopic(cmd *command) {
	deleted := c.server.verbs.DeleteTopics(c.ctx, c.session, []broker.TopicRef{{Name: cmd.topic}})
	if len(deleted) != 1 {
		c.fail(errNoAnswer)
	} else if err := deleted[0].Err; err != nil {
		c.fail(explainTopic(cmd.topic, err))
	} else {
		c.out.write(fmt.Sprintf("OK %s\n", cmd.topic))
	}
}

// listOffsets writes a line "<partition> <oldest offset> <next offset>" for each partition, and END with their number.
func (c *connection) listOffsets(cmd *command) {
	topic := c.server.verbs.Image().Topics.ByName(cmd.topic)
	if topic == nil {
		c.fail(explainTopic(cmd.topic, kafka.UnknownTopicOrPartition))
		return
	}
	query := make([]broker.ListOffsetsPartition, 0, 2*len(topic.Partitions))
	for p := range topic.Partitions {
		for _, at := range []kafka.Offset{broker.FromEarliest, broker.FromLatest} {
			query = append(query, broker.ListOffsetsPartition{Topic: topic.Name, Partition: int32(p), LeaderEpoch: kafka.NoEpoch, Timestamp: int64(at)})
		}
	}
	answers := c.server.verbs.ListOffsets(c.ctx, c.session, kafka.NoBroker, broker.ReadUncommitted, query)
	if len(answers) != len(query) {
		c.fail(errNoAnswer)
		return
	}
	for p := range topic.Partitions {
		oldest, next := answers[2*p], answers[2*p+1]
		for _, a := range []broker.ListOffsetsResult{oldest, next} {
			if a.Err != nil {
				c.fail(fmt.Errorf("partition %d: %w", p, a.Err))
				return
			}
		}
		c.out.write(fmt.Sprintf("%d %d %d\n", p, oldest.Offset, next.Offset))
	}
	c.out.write(fmt.Sprintf("END %d\n", len(topic.Partitions)))
}

// errNoAnswer is for a verb that broke its contract.
var errNoAnswer = errors.New("the broker gave no answer; try again")

// explainTopic gives an error that is only a code the words that a person needs.
func explainTopic(topic string, err error) error {
	switch {
	case kafka.MessageOf(err) != "":
		return err
	case kafka.CodeOf(err) == kafka.UnknownTopicOrPartition:
		return fmt.Errorf("there is no topic \"%s\"; TOPICS lists those there are", printable([]byte(topic)))
	}
	return fmt.Errorf("topic %s: %w", printable([]byte(topic)), err)
}
