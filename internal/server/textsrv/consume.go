package textsrv

import (
	"context"
	"errors"
	"strconv"

	"github.com/rafka-io/rafka/internal/broker"
)

// maxScratch is the largest line buffer a connection keeps.
const maxScratch = 64 << 10

// consume writes records until the end, the limit, STOP, or an error, and then says where a later CONSUME goes on.
func (c *connection) consume(t *task) {
	c.server.counts.consumers.Add(1)
	defer c.server.counts.consumers.Add(-1)
	cmd, ctx := &t.command, c.ctx
	if cmd.follow {
		ctx = t.ctx
	}
	opts := broker.TailOptions{
		Topic: cmd.topic, From: cmd.from, Follow: cmd.follow, Create: cmd.follow,
		Now: c.server.opts.Now, Latency: &c.server.delivery,
	}
	if cmd.partition != allPartitions {
		opts.Partitions = []int32{cmd.partition}
	}
	if cmd.verb == verbConsumeGroup {
		var err error
		if opts.Resume, err = broker.CommittedOffsets(ctx, c.server.verbs, c.session, cmd.group, cmd.topic); err != nil {
			c.fail(c.because(explainGroup(cmd.group, err)))
			return
		}
	}
	tail, err := broker.OpenTail(ctx, c.server.verbs, c.session, opts)
	if err != nil {
		c.fail(c.because(err))
		return
	}
	defer tail.Close()
	defer c.remember(cmd, tail)
	left := cmd.limit
	for !(cmd.limit > 0 && left == 0) && tail.Next(ctx) {
		if left = c.deliver(tail, left, cmd.partition == allPartitions); c.out.flush() != nil {
			return
		}
		if c.eof.Load() && c.out.probe() != nil {
			return
		}
	}
	if err := tail.Err(); err != nil && !errors.Is(err, errStopped) {
		c.fail(c.because(err))
		return
	}
	c.end(tail, cmd.partition)
}

// deliver writes the records of one fetch, at most left of them if left is not 0, and returns what is left then.
func (c *connection) deliver(tail *broker.Tail, left int64, withPartition bool) int64 {
	for r := range tail.Records() {
		c.scratch = append(appendRecord(c.scratch[:0], &r, withPartition), '\n')
		c.out.writeBytes(c.scratch)
		c.server.counts.delivered.Add(1)
		c.server.counts.deliveredBytes.Add(int64(len(r.Key) + len(r.Value)))
		if left--; left == 0 {
			break
		}
	}
	if cap(c.scratch) > maxScratch {
		c.scratch = nil
	}
	return max(left, 0)
}

// end writes END and the next offset, or <partition>:<next offset> of each.
func (c *connection) end(tail *broker.Tail, partition int32) {
	line := append(c.scratch[:0], "END"...)
	for _, p := range tail.Partitions() {
		next, _ := tail.Position(p)
		line = append(line, ' ')
		if partition == allPartitions {
			line = append(strconv.AppendInt(line, int64(p), 10), ':')
		}
		line = strconv.AppendInt(line, int64(next), 10)
	}
	c.out.writeBytes(append(line, '\n'))
}

// because turns the end of the connection's context into words.
func (c *connection) because(err error) error {
	if errors.Is(err, context.Canceled) || c.ctx.Err() != nil {
		return errShutdown
	}
	return err
}
