package receiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// span is offsets, both ends included.
type span struct{ first, last int64 }

// open makes messages of an answer. What was acquired and is no message is settled at once.
func (r *Receiver) open(ctx context.Context, s *session, resp *kmsg.ShareFetchResponse, until time.Time) ([]*Message, error) {
	var messages []*Message
	var refused error // by a partition, for a reason that passes
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			name := r.layout.name(t.TopicID)
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				err = withMessage(fmt.Errorf("receive from %s/%d: %w", name, p.Partition, err), p.ErrorMessage)
				if passing(err) {
					refused = err
					continue
				}
				return nil, errors.Join(err, r.Settle(context.WithoutCancel(ctx), Release, messages...))
			}
			records, gaps, unread, err := decode(name, p)
			key := partitionKey{t.TopicID, p.Partition}
			settled := errors.Join(r.settleSpans(ctx, s, key, gap, gaps), r.settleSpans(ctx, s, key, Release, unread))
			for _, m := range records {
				m.home, m.life, m.HeldUntil, m.topic = s, s.life, until, t.TopicID
			}
			messages = append(messages, records...)
			if err = errors.Join(err, settled); err != nil {
				return nil, errors.Join(err, r.Settle(context.WithoutCancel(ctx), Release, messages...))
			}
		}
	}
	r.layout.stale = r.layout.stale || refused != nil
	if refused != nil && len(messages) == 0 {
		return nil, r.retreat(ctx, refused)
	}
	return messages, nil
}

// decode finds the records among what was acquired, the offsets that hold none, and those that could not be read: behind the end of the
// data or of what is sound in it.
func decode(topic string, p *kmsg.ShareFetchResponseTopicPartition) (messages []*Message, gaps, unread []span, err error) {
	acquired := slices.Clone(p.AcquiredRecords)
	slices.SortFunc(acquired, func(a, b kmsg.ShareFetchResponseTopicPartitionAcquiredRecord) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	batches := kmsg.NewFetchResponseTopicPartition()
	batches.Partition, batches.RecordBatches = p.Partition, p.Records
	fetched, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: topic, Partition: p.Partition}, &batches, kgo.DefaultDecompressor(), nil)
	records := fetched.Records
	for _, a := range acquired {
		from := a.FirstOffset
		for len(records) > 0 && records[0].Offset <= a.LastOffset {
			record := records[0]
			records = records[1:]
			if record.Offset < from {
				continue
			}
			gaps = appendSpan(gaps, from, record.Offset-1)
			messages = append(messages, &Message{Record: record, Deliveries: int32(a.DeliveryCount)})
			from = record.Offset + 1
		}
		if fetched.Err == nil {
			end := min(a.LastOffset, next-1)
			gaps = appendSpan(gaps, from, end)
			from = max(from, end+1)
		}
		unread = appendSpan(unread, from, a.LastOffset)
	}
	if fetched.Err != nil {
		err = fmt.Errorf("read the messages of %s/%d: %w", topic, p.Partition, fetched.Err)
	}
	return messages, gaps, unread, err
}

// appendSpan adds from..to unless that is empty.
func appendSpan(spans []span, from, to int64) []span {
	if from > to {
		return spans
	}
	return append(spans, span{from, to})
}
