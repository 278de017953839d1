package brokertest

import (
	"slices"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
)

// Produce appends; the answer waits while acks are held.
func (b *Broker) Produce(_ *broker.Session, req *broker.ProduceRequest) broker.Await[[]broker.ProduceResult] {
	b.mu.Lock()
	defer b.mu.Unlock()
	results := make([]broker.ProduceResult, len(req.Partitions))
	for i := range req.Partitions {
		results[i] = b.append(&req.Partitions[i])
	}
	b.wakeLocked()
	return await[[]broker.ProduceResult]{b: b, timeout: req.Timeout,
		done: func() ([]broker.ProduceResult, bool) { return results, !b.held },
		late: func() []broker.ProduceResult {
			late := slices.Clone(results)
			for i := range late {
				late[i].Err, late[i].BaseOffset = kafka.RequestTimedOut, kafka.NoOffset
			}
			return late
		}}
}

func (b *Broker) append(p *broker.ProducePartition) broker.ProduceResult {
	r := broker.ProduceResult{BaseOffset: kafka.NoOffset, LogAppendTime: kafka.NoTimestamp, Leader: kafka.NoBroker}
	tp, l, err := b.log("produce", p.Topic, p.TopicID, p.Partition)
	if err != nil {
		r.Err = err
		return r
	}
	h, ok := record.ParseHeader(p.Records)
	switch {
	case !ok || h.Size() != len(p.Records) || h.Records < 1:
		r.Err = kafka.Errorf(kafka.CorruptMessage, "append to %s: not one whole batch", tp)
	case len(p.Records) > b.MaxBatchBytes:
		r.Err = kafka.Errorf(kafka.MessageTooLarge, "append to %s: a batch of %d bytes is larger than max.message.bytes, %d", tp, len(p.Records), b.MaxBatchBytes)
	default:
		stored := slices.Clone(p.Records)
		record.Stamp(stored, l.next, 0)
		h, _ = record.ParseHeader(stored)
		l.batches = append(l.batches, batch{h, stored})
		l.size += int64(len(stored))
		r.BaseOffset, r.LogStart = l.next, l.start
		l.next = h.NextOffset()
	}
	return r
}

// log finds a partition's log; b.mu is held.
func (b *Broker) log(verb, topic string, id kafka.UUID, partition int32) (kafka.TopicPartition, *log, error) {
	t, missing := (*metadata.Topic)(nil), kafka.UnknownTopicOrPartition
	if topic != "" {
		t = b.img.Topics.ByName(topic)
	} else {
		t, missing = b.img.Topics.ByID(id), kafka.UnknownTopicID
	}
	if t == nil {
		return kafka.TopicPartition{}, nil, missing
	}
	tp := kafka.TopicPartition{Topic: t.Name, Partition: partition}
	if partition < 0 || int(partition) >= len(t.Partitions) {
		return tp, nil, kafka.UnknownTopicOrPartition
	}
	if err := b.failure(verb, tp); err != nil {
		return tp, nil, err
	}
	l := b.logs[tp]
	if l == nil {
		l = &log{}
		b.logs[tp] = l
	}
	return tp, l, nil
}

// Trim forgets every whole batch below before, as retention does, and starts the log there.
func (b *Broker) Trim(topic string, partition int32, before kafka.Offset) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, l, err := b.log("trim", topic, kafka.UUID{}, partition)
	if err != nil {
		panic(err) // the test named it
	}
	l.start = max(l.start, min(before, l.next))
	for len(l.batches) > 0 && l.batches[0].header.NextOffset() <= l.start {
		l.size -= int64(len(l.batches[0].bytes))
		l.batches = l.batches[1:]
	}
}
