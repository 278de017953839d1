package textsrv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxMembers is how many queues a connection takes from. For more, there are more connections.
const maxMembers = 16

// offsetReset is the setting that says where a share group begins.
const offsetReset = "share.auto.offset.reset"

// memberships are the queues that a connection takes from, by topic: one queue of a topic, so that an id says which.
type memberships struct {
	byTopic map[string]*member
	given   []messageID // by the last TAKE
}

// holding is how many messages the connection holds whose locks have not run out.
func (m *memberships) holding(now time.Time) (n int) {
	for _, one := range m.byTopic {
		for id, h := range one.held {
			if !now.Before(h.until) {
				delete(one.held, id)
			}
		}
		n += len(one.held)
	}
	return n
}

// memberOf is the connection's membership in a queue. It joins with its first use, and makes the topic and the queue if there are none.
func (c *connection) memberOf(ctx context.Context, cmd *command) (*member, error) {
	for _, err := range c.server.verbs.EnsureTopics(ctx, c.session, []string{cmd.topic}) {
		if err != nil {
			return nil, explainTopic(cmd.topic, err)
		}
	}
	if m := c.queues.byTopic[cmd.topic]; m != nil {
		if m.group != cmd.group {
			return nil, fmt.Errorf("this connection takes from topic %s for queue %s already; use another connection for queue %s", cmd.topic, word(m.group), word(cmd.group))
		}
		return m, nil
	}
	if len(c.queues.byTopic) >= maxMembers {
		return nil, fmt.Errorf("this connection takes from %d topics already; use another connection", maxMembers)
	}
	if err := c.beginAtEarliest(ctx, cmd.group); err != nil {
		return nil, err
	}
	m := c.newMember(cmd.group, cmd.topic)
	if err := m.join(ctx); err != nil {
		m.leaveSoon() // it may have joined all the same
		return nil, err
	}
	if c.queues.byTopic == nil {
		c.queues.byTopic = map[string]*member{}
	}
	c.queues.byTopic[cmd.topic] = m
	return m, nil
}

// beginAtEarliest makes a queue that there is not yet begin with the oldest message, unless its settings say otherwise. Kafka's default, the
// end, would skip without a word what was put there before.
func (c *connection) beginAtEarliest(ctx context.Context, group string) error {
	known, err := c.isQueue(ctx, group)
	if known || err != nil {
		return err
	}
	if c.resetOf(group) != "" {
		return nil
	}
	r := metadata.Resource{Type: metadata.ResourceGroup, Name: group}
	earliest := "earliest"
	change := broker.AlterResource{Resource: r, Changes: []broker.ConfigChange{{Name: offsetReset, Op: broker.OpSet, Value: &earliest}}}
	for _, err := range c.server.verbs.AlterConfigs(ctx, c.session, []broker.AlterResource{change}, false) {
		if err != nil {
			return fmt.Errorf("have queue %s begin with the oldest message: %w", word(group), err)
		}
	}
	return nil
}

// isQueue reports whether there is a share group of a name. A group of another kind is an error.
func (c *connection) isQueue(ctx context.Context, group string) (bool, error) {
	var d kmsg.ShareGroupDescribeResponseGroup
	err := broker.AskCoordinator(ctx, c.server.verbs, c.session, group, func() error {
		q := kmsg.NewPtrShareGroupDescribeRequest()
		q.Version, q.GroupIDs = 1, []string{group}
		a := c.server.verbs.ShareGroupDescribe(ctx, c.session, q)
		if len(a.Groups) != 1 {
			return errNoAnswer
		}
		if d = a.Groups[0]; kafka.ErrorCode(d.ErrorCode) == kafka.GroupIDNotFound {
			return nil
		}
		return queueError(d.ErrorCode, d.ErrorMessage, group)
	})
	if err != nil || d.ErrorCode == 0 {
		return err == nil, err
	}
	all, err := c.groups() // it may be of another kind
	for i := range all {
		if all[i].Group == group {
			if strings.EqualFold(all[i].GroupType, "share") {
				return true, nil // made since
			}
			return false, queueError(int16(kafka.GroupIDNotFound), nil, group)
		}
	}
	return false, err
}

// leaveSoon is leave with a patience of its own.
func (m *member) leaveSoon() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.conn.ctx), leavePatience)
	defer cancel()
	m.leave(ctx)
}

// leaveQueues gives back what the connection holds and ends its memberships.
func (c *connection) leaveQueues() {
	c.server.verbs.SessionClosed(c.session)
	var leaving sync.WaitGroup
	for _, m := range c.queues.byTopic {
		leaving.Go(m.leaveSoon)
	}
	leaving.Wait()
	c.queues = memberships{}
}

// listQueueOffsets writes a line "<topic> <partition> <offset of the oldest message that is not done> <how many are not done>" for each
// partition that the queue reads, and END with their number.
func (c *connection) listQueueOffsets(cmd *command) {
	var g kmsg.DescribeShareGroupOffsetsResponseGroup
	err := broker.AskCoordinator(c.ctx, c.server.verbs, c.session, cmd.group, func() error {
		q := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		q.Version = 1
		one := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		one.GroupID, one.Topics = cmd.group, nil // nil: all of them
		q.Groups = append(q.Groups, one)
		a := c.server.verbs.DescribeShareGroupOffsets(c.ctx, c.session, q)
		if len(a.Groups) != 1 {
			return errNoAnswer
		}
		g = a.Groups[0]
		return queueError(g.ErrorCode, g.ErrorMessage, cmd.group)
	})
	if err != nil {
		if kafka.CodeOf(err) == kafka.GroupIDNotFound {
			err = fmt.Errorf("there is no queue %s; the first TAKE makes it", word(cmd.group))
		}
		c.fail(err)
		return
	}
	lines := 0
	slices.SortFunc(g.Topics, func(x, y kmsg.DescribeShareGroupOffsetsResponseGroupTopic) int { return cmp.Compare(x.Topic, y.Topic) })
	for _, t := range g.Topics {
		for _, p := range t.Partitions {
			start, left := "-", "-" // nothing was taken of it yet
			if p.ErrorCode == 0 && p.StartOffset >= 0 {
				start = fmt.Sprint(p.StartOffset)
				if p.Lag >= 0 {
					left = fmt.Sprint(p.Lag)
				}
			}
			c.out.write(fmt.Sprintf("%s %d %s %s\n", t.Topic, p.Partition, start, left))
			lines++
		}
	}
	c.out.write(fmt.Sprintf("END %d\n", lines))
}

var errHoldsTooMuch = errors.New("this connection holds as many messages as it may; ACK, RELEASE or REJECT some first")
