package textsrv

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
)

const readStateVersion = 0

// States of delivery as ReadShareGroupState tells them.
const (
	stateAcknowledged int8 = 2
	stateArchived     int8 = 4
)

// queueState is what is known of a partition of a queue.
type queueState struct {
	start   kafka.Offset
	batches []kmsg.ReadShareGroupStateResponseTopicPartitionStateBatch
}

// of is how often a message was delivered as far as that is written down, and whether it is done.
func (s *queueState) of(o kafka.Offset) (deliveries int16, isDone bool) {
	if s == nil {
		return 0, false
	}
	for _, b := range s.batches {
		if int64(o) >= b.FirstOffset && int64(o) <= b.LastOffset {
			return b.DeliveryCount, b.DeliveryState == stateAcknowledged || b.DeliveryState == stateArchived
		}
	}
	return 0, o < s.start
}

// peek writes the first messages of a queue that are not done, without taking them. Those that somebody holds are among them.
func (c *connection) peek(cmd *command) {
	topic := c.server.verbs.Image().Topics.ByName(cmd.topic)
	if topic == nil {
		c.fail(explainTopic(cmd.topic, kafka.UnknownTopicOrPartition))
		return
	}
	known, err := c.isQueue(c.ctx, cmd.group)
	states := map[int32]*queueState{}
	if err == nil && known {
		states, err = c.readStates(topic, cmd.group)
	}
	if err != nil {
		c.fail(c.because(err))
		return
	}
	opts := broker.TailOptions{Topic: cmd.topic, From: broker.FromEarliest, Resume: map[int32]kafka.Offset{}}
	if reset := c.resetOf(cmd.group); known && reset != "earliest" {
		opts.From = broker.FromLatest // as a TAKE would begin, where none has begun yet
	}
	for p, s := range states {
		opts.Resume[p] = s.start
	}
	tail, err := broker.OpenTail(c.ctx, c.server.verbs, c.session, opts)
	if err != nil {
		c.fail(c.because(err))
		return
	}
	defer tail.Close()
	n := 0
	for n < cmd.count && tail.Next(c.ctx) {
		for r := range tail.Records() {
			deliveries, isDone := states[r.Partition].of(r.Offset)
			if isDone {
				continue
			}
			c.writeMessage(messageID{cmd.topic, r.Partition, r.Offset}, deliveries, -1, &r.Record)
			if n++; n == cmd.count {
				break
			}
		}
		if c.out.flush() != nil {
			return
		}
	}
	if err := tail.Err(); err != nil {
		c.fail(c.because(err))
		return
	}
	c.out.write(fmt.Sprintf("END %d\n", n))
}

// resetOf is where a group begins, as its own settings say; "": they do not.
func (c *connection) resetOf(group string) string {
	return c.server.verbs.Image().Configs[metadata.Resource{Type: metadata.ResourceGroup, Name: group}][offsetReset]
}

// readStates reads what is written down of a queue's partitions; those that nobody has taken from are left out.
func (c *connection) readStates(topic *metadata.Topic, group string) (map[int32]*queueState, error) {
	states := map[int32]*queueState{}
	err := broker.AskCoordinator(c.ctx, c.server.verbs, c.session, group, func() error {
		q := kmsg.NewPtrReadShareGroupStateRequest()
		q.Version, q.GroupID = readStateVersion, group
		t := kmsg.NewReadShareGroupStateRequestTopic()
		t.TopicID = topic.ID
		for i := range topic.Partitions {
			p := kmsg.NewReadShareGroupStateRequestTopicPartition()
			p.Partition, p.LeaderEpoch = int32(i), int32(topic.Partitions[i].LeaderEpoch)
			t.Partitions = append(t.Partitions, p)
		}
		q.Topics = append(q.Topics, t)
		for _, t := range c.server.verbs.ReadShareGroupState(c.ctx, c.session, q).Topics {
			for _, p := range t.Partitions {
				switch code := kafka.ErrorCode(p.ErrorCode); {
				case code == kafka.InvalidRequest: // it has not begun
				case code != kafka.None:
					return queueError(p.ErrorCode, p.ErrorMessage, group)
				case p.StartOffset >= 0:
					states[p.Partition] = &queueState{kafka.Offset(p.StartOffset), slices.Clone(p.StateBatches)}
				}
			}
		}
		return nil
	})
	return states, err
}

// writeMessage writes a message of a queue.
func (c *connection) writeMessage(id messageID, deliveries int16, lockSeconds int64, r *record.Record) {
	c.scratch = append(appendDelivery(c.scratch[:0], id, deliveries, lockSeconds, r), '\n')
	c.out.writeBytes(c.scratch)
	if cap(c.scratch) > maxScratch {
		c.scratch = nil
	}
	c.server.counts.delivered.Add(1)
	c.server.counts.deliveredBytes.Add(int64(len(r.Key) + len(r.Value)))
}
