package textsrv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

const commitVersion = 9 // of OffsetCommit and OffsetFetch: topics by name

// commits are offsets that a group is to go on from.
type commits struct {
	group, topic string
	next         map[int32]kafka.Offset
}

// remember notes where a group was when its CONSUME ended, for COMMIT.
func (c *connection) remember(cmd *command, tail *broker.Tail) {
	if cmd.verb != verbConsumeGroup {
		return
	}
	c.given = &commits{cmd.group, tail.Topic(), map[int32]kafka.Offset{}}
	for _, p := range tail.Partitions() {
		c.given.next[p], _ = tail.Position(p)
	}
}

// commit stores the offsets that a group goes on from: the one that the command names, or those after what was given last.
func (c *connection) commit(cmd *command) {
	what := c.given
	if cmd.group != "" {
		what = &commits{cmd.group, cmd.topic, map[int32]kafka.Offset{cmd.partition: cmd.from}}
	}
	if what == nil {
		c.fail(errors.New("this connection was given nothing to commit; send " + usages[verbConsumeGroup] + " first, or name the offset: " + usages[verbCommit]))
		return
	}
	if err := c.checkCommit(what); err != nil {
		c.fail(err)
		return
	}
	var err error
	// A shutdown does not cut this short: the broker's own timeout does.
	c.out.whileWaiting(func() { err = c.commitAll(context.WithoutCancel(c.ctx), what) })
	if err != nil {
		c.fail(explainGroup(what.group, err))
		return
	}
	line := append(c.scratch[:0], "OK"...)
	for _, p := range slices.Sorted(maps.Keys(what.next)) {
		line = append(strconv.AppendInt(append(line, ' '), int64(p), 10), ':')
		line = strconv.AppendInt(line, int64(what.next[p]), 10)
	}
	c.out.writeBytes(append(line, '\n'))
}

// checkCommit refuses offsets of partitions that there are not.
func (c *connection) checkCommit(what *commits) error {
	topic := c.server.verbs.Image().Topics.ByName(what.topic)
	if topic == nil {
		return explainTopic(what.topic, kafka.UnknownTopicOrPartition)
	}
	for p := range what.next {
		if int(p) >= len(topic.Partitions) {
			return fmt.Errorf("topic %s has no partition %d; it has 0 to %d", topic.Name, p, len(topic.Partitions)-1)
		}
	}
	return nil
}

// commitAll commits in one request, as somebody outside the group.
func (c *connection) commitAll(ctx context.Context, what *commits) error {
	return broker.AskCoordinator(ctx, c.server.verbs, c.session, what.group, func() error {
		q := kmsg.NewPtrOffsetCommitRequest()
		q.Version, q.Group = commitVersion, what.group
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = what.topic
		for at, next := range what.next {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset = at, int64(next)
			t.Partitions = append(t.Partitions, p)
		}
		q.Topics = append(q.Topics, t)
		a := c.server.verbs.OffsetCommit(ctx, c.session, q)
		if len(a.Topics) != 1 || len(a.Topics[0].Partitions) != len(what.next) {
			return errNoAnswer
		}
		for _, p := range a.Topics[0].Partitions {
			if err := broker.GroupError(p.ErrorCode, what.group); err != nil {
				return err
			}
		}
		return nil
	})
}
