package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// closeSettled closes the partitions whose remaining offsets hold nothing to deliver: compacted away, or written by an aborted
// transaction. The client passes over those in silence, so a consumer that waits for offset stop-1 would wait for ever.
// Silence alone does not prove it (a broker may be slow), so one fetch by hand asks.
func (o *consumeOptions) closeSettled(ctx context.Context, cl *kgo.Client, open map[topicPartition]*reading) error {
	var metadata kadm.Metadata
	for tp, p := range open {
		if p.stop < 0 {
			continue
		}
		if metadata.Topics == nil {
			var err error
			if metadata, err = newAdmin(cl).Metadata(ctx, tp.topic); err != nil {
				return explain(err)
			}
		}
		leader := metadata.Topics[tp.topic].Partitions[tp.partition].Leader
		if leader < 0 || !metadata.Topics.Has(tp.topic) {
			metadata = kadm.Metadata{}
			continue // nobody to ask now; the client goes on trying
		}
		if err := o.skipSettled(ctx, cl, leader, metadata.Topics[tp.topic].ID, p); err != nil {
			return fmt.Errorf("consume %s/%d: %w", tp.topic, tp.partition, explain(err))
		}
		if p.next >= p.stop {
			o.close(cl, open, tp)
		}
	}
	return nil
}

// skipSettled moves p.next over offsets that hold nothing, up to the first record that the client is yet to deliver.
func (o *consumeOptions) skipSettled(ctx context.Context, cl *kgo.Client, leader int32, id kadm.TopicID, p *reading) error {
	for p.next < p.stop {
		records, next, err := o.fetchOnce(ctx, cl, leader, id, p)
		if err != nil {
			return err
		}
		if records > 0 || next <= p.next {
			return nil
		}
		p.next = next
	}
	return nil
}

// fetchOnce asks the leader for what lies at p.next: how many records a client would get, and the offset after all it looked at.
func (o *consumeOptions) fetchOnce(ctx context.Context, cl *kgo.Client, leader int32, id kadm.TopicID, p *reading) (records int, next int64, err error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch = 1<<20, 0, -1
	req.IsolationLevel = map[bool]int8{true: 1, false: 0}[o.isolation == kgo.ReadCommitted()]
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.partition, p.next, 1<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = p.topic, id, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, cl.Broker(int(leader)))
	if err != nil {
		return 0, 0, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, 0, kerr.ErrorForCode(resp.ErrorCode)
	}
	got := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		if kerr.IsRetriable(err) {
			return 1, 0, nil // such as a leader that moved: the client finds it
		}
		return 0, 0, err
	}
	fetched, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Topic: p.topic, Partition: p.partition, Offset: p.next, IsolationLevel: o.isolation, KeepControlRecords: true,
	}, got, kgo.DefaultDecompressor(), nil)
	if fetched.Err != nil {
		return 0, 0, fetched.Err
	}
	if len(got.RecordBatches) == 0 { // nothing between here and the end of the log
		if o.isolation == kgo.ReadCommitted() {
			return 0, got.LastStableOffset, nil
		}
		return 0, got.HighWatermark, nil
	}
	return len(fetched.Records), next, nil
}
