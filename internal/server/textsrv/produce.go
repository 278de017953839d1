package textsrv

import (
	"context"
	"strconv"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// start appends the message of a PRODUCE. It runs in the goroutine that reads if nothing is waiting before it, else in the one that answers.
func (c *connection) start(cmd *command) (broker.Publishing, error) {
	one := []record.Record{{Key: cmd.key, Value: cmd.value, Timestamp: kafka.NoTimestamp}}
	return c.server.publisher.Start(c.ctx, c.session, &broker.Message{Topic: cmd.topic, Partition: broker.AutoPartition, Records: one})
}

// finishProduce answers once the message is as durable as its topic asks. A shutdown does not cut this short: the broker's own timeout does.
func (c *connection) finishProduce(p broker.Publishing) {
	var at broker.Published
	var err error
	c.out.whileWaiting(func() { at, err = p.Wait(context.WithoutCancel(c.ctx)) })
	if err != nil {
		c.fail(err)
		return
	}
	c.scratch = append(c.scratch[:0], "OK "...)
	c.scratch = strconv.AppendInt(c.scratch, int64(at.Partition), 10)
	c.scratch = append(c.scratch, ' ')
	c.scratch = strconv.AppendInt(c.scratch, int64(at.Offset), 10)
	c.out.writeBytes(append(c.scratch, '\n'))
}

// run carries out a command that had to wait for its turn.
func (c *connection) run(t *task) {
	switch cmd := &t.command; cmd.verb {
	case verbProduce:
		p, err := c.start(cmd)
		if err != nil {
			c.fail(err)
			return
		}
		c.finishProduce(p)
	case verbConsume, verbConsumeGroup:
		c.consume(t)
	case verbTopics:
		c.listTopics()
	case verbCreate:
		c.createTopic(cmd)
	case verbDelete:
		c.deleteTopic(cmd)
	case verbOffsets:
		c.listOffsets(cmd)
	case verbGroups:
		c.listGroups()
	case verbCommit:
		c.commit(cmd)
	case verbGroupOffsets:
		c.listGroupOffsets(cmd)
	case verbQueueOffsets:
		c.listQueueOffsets(cmd)
	case verbTake:
		c.takeMessages(t)
	case verbPeek:
		c.peek(cmd)
	case verbAck, verbRelease, verbReject, verbRenew:
		c.settle(cmd)
	case verbHelp:
		c.out.write(help)
	case verbPing:
		c.out.write("PONG\n")
	}
}
