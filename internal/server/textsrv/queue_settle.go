package textsrv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
)

// settlePatience bounds how long a settlement may take: the broker's own time-out is shorter.
const settlePatience = 15 * time.Second

// settlement is messages of one partition of which the same is to become.
type settlement struct {
	queuePartition
	offsets []kafka.Offset // rising
}

// settle says what is to become of messages that the connection holds, and answers once that is durable.
func (c *connection) settle(cmd *command) {
	kind := map[verb]int8{verbAck: share.AckAccept, verbRelease: share.AckRelease, verbReject: share.AckReject, verbRenew: share.AckRenew}[cmd.verb]
	ids := cmd.ids
	if len(ids) == 0 {
		if ids = c.stillGiven(); len(ids) == 0 {
			c.fail(errors.New("this connection holds nothing that the last TAKE gave; send TAKE first, or name ids"))
			return
		}
	}
	byMember, err := c.holders(ids)
	if err != nil {
		c.fail(err)
		return
	}
	var failures []string
	failed := 0
	lock := time.Duration(0)
	for m, parts := range byMember {
		m.settle(parts, kind, func(l time.Duration) { lock = l }, func(s *settlement, err error) {
			failed += len(s.offsets)
			for _, o := range s.offsets {
				failures = append(failures, messageID{m.topic, s.partition, o}.String())
			}
			failures[len(failures)-1] += ": " + err.Error()
		})
	}
	switch {
	case failed > 0 && failed == len(ids):
		c.fail(errors.New(strings.Join(failures, " ")))
	case failed > 0:
		c.fail(fmt.Errorf("%s (the other %d are done)", strings.Join(failures, " "), len(ids)-failed))
	case kind == share.AckRenew:
		c.out.write(fmt.Sprintf("OK %d %d\n", len(ids), lock/time.Second))
	default:
		c.out.write(fmt.Sprintf("OK %d\n", len(ids)))
	}
}

// stillGiven are the messages of the last TAKE that the connection holds yet.
func (c *connection) stillGiven() []messageID {
	c.queues.holding(c.server.opts.Now()) // forgets those whose locks have run out
	return slices.DeleteFunc(slices.Clone(c.queues.given), func(id messageID) bool {
		m := c.queues.byTopic[id.topic]
		if m == nil {
			return true
		}
		_, held := m.held[id]
		return !held
	})
}

// holders finds who holds the messages. One that nobody holds is an error, and then nothing happens to any.
func (c *connection) holders(ids []messageID) (map[*member][]settlement, error) {
	now := c.server.opts.Now()
	found := map[*member]map[queuePartition][]kafka.Offset{}
	for _, id := range ids {
		m := c.queues.byTopic[id.topic]
		var h holding
		held := false
		if m != nil {
			h, held = m.held[id]
		}
		switch {
		case !held:
			return nil, fmt.Errorf("this connection does not hold %s, so nothing was done; messages are held by the connection that took them, until their lock runs out", id)
		case !now.Before(h.until):
			return nil, fmt.Errorf("the lock of %s has run out, so nothing was done; somebody else may have it by now. TAKE it again, and RENEW it in time", id)
		}
		if found[m] == nil {
			found[m] = map[queuePartition][]kafka.Offset{}
		}
		found[m][h.queuePartition] = append(found[m][h.queuePartition], id.offset)
	}
	byMember := map[*member][]settlement{}
	for m, parts := range found {
		for p, offsets := range parts {
			slices.Sort(offsets)
			byMember[m] = append(byMember[m], settlement{p, offsets})
		}
		slices.SortFunc(byMember[m], func(x, y settlement) int { return cmp.Compare(x.partition, y.partition) })
	}
	return byMember, nil
}

// settle acknowledges messages that are held and notes what that changes.
func (m *member) settle(parts []settlement, kind int8, renewed func(time.Duration), failed func(*settlement, error)) {
	var a *kmsg.ShareAcknowledgeResponse
	asked := m.conn.server.opts.Now()
	m.conn.out.whileWaiting(func() { a = m.acknowledge(parts, kind) })
	if err := queueError(a.ErrorCode, a.ErrorMessage, m.group); err != nil {
		for i := range parts {
			failed(&parts[i], err)
		}
		m.forget()
		return
	}
	errs := map[queuePartition]error{}
	for _, t := range a.Topics {
		for _, p := range t.Partitions {
			errs[queuePartition{t.TopicID, p.Partition}] = queueError(p.ErrorCode, p.ErrorMessage, m.group)
		}
	}
	lock := time.Duration(a.AcquisitionLockTimeoutMillis) * time.Millisecond
	renewed(lock)
	for i := range parts {
		p := &parts[i]
		err := errs[p.queuePartition]
		if err != nil {
			failed(p, err)
		}
		for _, o := range p.offsets {
			id := messageID{m.topic, p.partition, o}
			switch {
			case err == nil && kind == share.AckRenew:
				m.held[id] = holding{p.queuePartition, asked.Add(lock)}
			case err == nil:
				delete(m.held, id)
			}
		}
	}
}

// acknowledge tells the broker. It goes on while the broker shuts down, so that the outcome is known.
func (m *member) acknowledge(parts []settlement, kind int8) *kmsg.ShareAcknowledgeResponse {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.conn.ctx), settlePatience)
	defer cancel()
	q := kmsg.NewPtrShareAcknowledgeRequest()
	q.Version, q.GroupID, q.MemberID, q.ShareSessionEpoch, q.IsRenewAck = fetchVersion, &m.group, &m.id, m.session, kind == share.AckRenew
	for _, s := range parts {
		p := kmsg.NewShareAcknowledgeRequestTopicPartition()
		p.Partition = s.partition
		for i := 0; i < len(s.offsets); {
			last := i
			for last+1 < len(s.offsets) && s.offsets[last+1] == s.offsets[last]+1 {
				last++
			}
			p.AcknowledgementBatches = append(p.AcknowledgementBatches, kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
				FirstOffset: int64(s.offsets[i]), LastOffset: int64(s.offsets[last]), AcknowledgeTypes: []int8{kind},
			})
			i = last + 1
		}
		t := kmsg.NewShareAcknowledgeRequestTopic()
		t.TopicID, t.Partitions = s.topic, append(t.Partitions, p)
		q.Topics = append(q.Topics, t)
	}
	a := m.conn.server.verbs.ShareAcknowledge(ctx, m.conn.session, q)
	if a.ErrorCode == 0 {
		m.session = nextSession(m.session)
	}
	return a
}
