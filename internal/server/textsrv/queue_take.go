package textsrv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	fetchVersion    = 2
	maxHeld         = 1000            // messages that a connection holds at a time
	takeBytes       = 1 << 20         // of one answer; a larger batch comes all the same
	maxDecompressed = 64 << 20        // records of one batch
	takeWait        = 5 * time.Second // how long one fetch may wait; between two the client is looked after
	joinPatience    = 5 * time.Second // for partitions to take from, whatever WAIT says: a new queue has to be begun
)

// takeMessages gives up to count messages of a queue to the connection, waiting for one as long as asked.
func (c *connection) takeMessages(t *task) {
	c.server.counts.consumers.Add(1)
	defer c.server.counts.consumers.Add(-1)
	cmd, ctx := &t.command, c.ctx
	if cmd.canWait() {
		ctx = t.ctx
	}
	most := min(cmd.count, maxHeld-c.queues.holding(c.server.opts.Now()))
	if most <= 0 {
		c.fail(errHoldsTooMuch)
		return
	}
	c.queues.given = nil
	m, err := c.memberOf(ctx, cmd)
	if err == nil {
		err = m.take(ctx, most, cmd.wait)
	}
	switch {
	case err == nil || errors.Is(context.Cause(ctx), errStopped):
		c.out.write(fmt.Sprintf("END %d\n", len(c.queues.given)))
	case ctx.Err() != nil:
		c.fail(c.because(context.Cause(ctx)))
	default:
		c.fail(err)
	}
}

// take writes the messages that the member gets, until there are some or the time is up. An error says why there are none.
func (m *member) take(ctx context.Context, most int, wait time.Duration) error {
	c := m.conn
	begun := time.Now()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.eof.Load() && c.out.probe() != nil {
			return errPeerGone
		}
		left := max(wait-time.Since(begun), 0)
		assigned, changed, err := m.assignment()
		if len(assigned) == 0 {
			if left = max(left, joinPatience-time.Since(begun)); left <= 0 {
				return err
			}
			pauseFor(ctx, min(left, takeWait), changed)
			continue
		}
		n := 0
		isOther := m.whileAssigned(ctx, assigned, func(ctx context.Context) {
			n, err = m.deliver(m.fetch(ctx, assigned, most, min(left, takeWait)))
			c.server.verbs.ShareFetchWritten(c.session)
		})
		switch code := kafka.CodeOf(err); {
		case n > 0:
			return nil
		case isOther: // what was asked for is not what there is to ask for
		case err == nil && left == 0:
			return nil
		case code == kafka.ShareSessionNotFound || code == kafka.InvalidShareSessionEpoch:
			m.forget() // the next fetch opens another session
		case err != nil && (left == 0 || !code.Retriable() && !isTopicGone(code)):
			return err
		case err != nil:
			pauseFor(ctx, min(left, rejoinPause), changed)
		}
	}
}

// isTopicGone says that the topic was deleted, or made anew, in which case the group assigns the new one soon.
func isTopicGone(c kafka.ErrorCode) bool {
	return c == kafka.UnknownTopicID || c == kafka.UnknownTopicOrPartition
}

// forget gives up the share session and what was held with it.
func (m *member) forget() {
	m.session, m.fetching = 0, nil
	clear(m.held)
}

// fetch asks for messages of the partitions that are assigned.
func (m *member) fetch(ctx context.Context, assigned []queuePartition, most int, wait time.Duration) *kmsg.ShareFetchResponse {
	q := kmsg.NewPtrShareFetchRequest()
	q.Version, q.GroupID, q.MemberID, q.ShareSessionEpoch = fetchVersion, &m.group, &m.id, m.session
	q.MaxWaitMillis, q.MinBytes, q.MaxBytes = int32(wait.Milliseconds()), 1, takeBytes
	q.MaxRecords, q.BatchSize, q.ShareAcquireMode = int32(most), int32(most), 1 // not one more than asked for
	for _, p := range assigned {
		if m.session == 0 || !slices.Contains(m.fetching, p) {
			t := kmsg.NewShareFetchRequestTopic()
			one := kmsg.NewShareFetchRequestTopicPartition()
			one.Partition = p.partition
			t.TopicID, t.Partitions = p.topic, append(t.Partitions, one)
			q.Topics = append(q.Topics, t)
		}
	}
	for _, p := range m.fetching {
		if m.session != 0 && !slices.Contains(assigned, p) {
			q.ForgottenTopicsData = append(q.ForgottenTopicsData, kmsg.ShareFetchRequestForgottenTopicsData{TopicID: p.topic, Partitions: []int32{p.partition}})
		}
	}
	a := m.conn.server.verbs.ShareFetch(ctx, m.conn.session, q)
	if a.ErrorCode == 0 {
		m.session, m.fetching = nextSession(m.session), assigned
	}
	return a
}

// nextSession is the epoch after e: from 2^31-1 it goes on with 1.
func nextSession(e int32) int32 {
	if e == 1<<31-1 {
		return 1
	}
	return e + 1
}

// pauseFor waits for a time, for ctx or for woken.
func pauseFor(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
	case <-ctx.Done():
	}
}
