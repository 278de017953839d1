package receiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrReleased is the cause when a message is settled that this receiver holds no more: its broker was lost, or does not lead its partition now.
var ErrReleased = errors.New("the connection by which the message was held is gone, and it comes again")

// Settle tells brokers what becomes of messages, and returns when all have answered. Renewed ones are held for another lock duration.
func (r *Receiver) Settle(ctx context.Context, status Status, messages ...*Message) error {
	byHome := make(map[*session]map[partitionKey][]*Message)
	var homes []*session
	var errs []error
	for _, m := range messages {
		if m.life != m.home.life {
			errs = append(errs, fmt.Errorf("settle %s/%d@%d: %w", m.Topic, m.Partition, m.Offset, ErrReleased))
			continue
		}
		if byHome[m.home] == nil {
			byHome[m.home] = make(map[partitionKey][]*Message)
			homes = append(homes, m.home)
		}
		key := partitionKey{m.topic, m.Partition}
		byHome[m.home][key] = append(byHome[m.home][key], m)
	}
	for _, home := range homes {
		spans := make(map[partitionKey][]span)
		for key, held := range byHome[home] {
			spans[key] = spansOf(held)
		}
		asked := time.Now()
		lock, err := r.acknowledge(ctx, home, status, spans)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if status == Renew {
			for _, held := range byHome[home] {
				for _, m := range held {
					m.HeldUntil = asked.Add(max(lock, m.HeldUntil.Sub(asked)))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// settleSpans is Settle for offsets that are no messages.
func (r *Receiver) settleSpans(ctx context.Context, s *session, key partitionKey, status Status, spans []span) error {
	if len(spans) == 0 {
		return nil
	}
	_, err := r.acknowledge(context.WithoutCancel(ctx), s, status, map[partitionKey][]span{key: spans})
	return err
}

// spansOf puts neighbours together.
func spansOf(messages []*Message) []span {
	sorted := slices.SortedFunc(slices.Values(messages), func(a, b *Message) int { return cmp.Compare(a.Offset, b.Offset) })
	var spans []span
	for _, m := range sorted {
		if n := len(spans); n > 0 && spans[n-1].last+1 == m.Offset {
			spans[n-1].last = m.Offset
		} else {
			spans = append(spans, span{m.Offset, m.Offset})
		}
	}
	return spans
}

// acknowledge is one ShareAcknowledge. lock is how long renewed messages are held, zero if the broker does not say.
func (r *Receiver) acknowledge(ctx context.Context, s *session, status Status, spans map[partitionKey][]span) (lock time.Duration, err error) {
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch, req.IsRenewAck = &r.group, &r.member.id, s.epoch, status == Renew
	for key, of := range spans {
		p := kmsg.NewShareAcknowledgeRequestTopicPartition()
		p.Partition = key.partition
		for _, one := range of {
			b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
			b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = one.first, one.last, []int8{int8(status)}
			p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
		}
		t := kmsg.NewShareAcknowledgeRequestTopic()
		t.TopicID, t.Partitions = key.topic, append(t.Partitions, p)
		req.Topics = appendTopic(req.Topics, t)
	}
	answer, err := r.ask(ctx, s.broker, req, 0)
	if err != nil {
		s.lost()
		r.layout.stale = true
		return 0, fmt.Errorf("acknowledge messages: %w", err)
	}
	resp := answer.(*kmsg.ShareAcknowledgeResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		s.lost()
		return 0, withMessage(fmt.Errorf("acknowledge messages at broker %d: %w", s.broker, err), resp.ErrorMessage)
	}
	s.advance()
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				r.layout.stale = true
				errs = append(errs, withMessage(fmt.Errorf("acknowledge messages of %s/%d: %w", r.layout.name(t.TopicID), p.Partition, err), p.ErrorMessage))
			}
		}
	}
	return time.Duration(resp.AcquisitionLockTimeoutMillis) * time.Millisecond, errors.Join(errs...)
}

// appendTopic adds a topic's partitions to those that are there: a request names each topic once.
func appendTopic(topics []kmsg.ShareAcknowledgeRequestTopic, t kmsg.ShareAcknowledgeRequestTopic) []kmsg.ShareAcknowledgeRequestTopic {
	for i := range topics {
		if topics[i].TopicID == t.TopicID {
			topics[i].Partitions = append(topics[i].Partitions, t.Partitions...)
			return topics
		}
	}
	return append(topics, t)
}
