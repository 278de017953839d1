package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// places says where partitions are to be read.
type places kadm.TopicDetails

// locate asks for the leaders of the topics' partitions.
func locate(ctx context.Context, adm *admin, topics []string) (places, error) {
	m, err := adm.Metadata(ctx, topics...)
	return places(m.Topics), err
}

// mostEmptyBatches is how many batches without a record for consumers (markers, what compaction left) firstRecord reads past.
const mostEmptyBatches = 32

// firstRecord reads the first record at or after an offset, with one small fetch if it can; nil: there is none. Records of open
// transactions count.
func (p places) firstRecord(ctx context.Context, adm *admin, topic string, partition int32, offset int64) (*kgo.Record, error) {
	t := p[topic]
	where, ok := t.Partitions[partition]
	if !ok || where.Leader < 0 {
		return nil, fmt.Errorf("read %s/%d: %w", topic, partition, kerr.LeaderNotAvailable)
	}
	for range mostEmptyBatches {
		req := kmsg.NewPtrFetchRequest()
		req.MinBytes, req.MaxBytes, req.SessionEpoch = 1, 1, -1 // a broker gives one whole batch however small the limit
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic, rt.TopicID = topic, t.ID
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = partition, offset, 1
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(ctx, adm.raw.Broker(int(where.Leader)))
		if err != nil {
			return nil, err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, err
		}
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return nil, fmt.Errorf("read %s/%d: the broker answered for something else", topic, partition)
		}
		rp2 := &resp.Topics[0].Partitions[0]
		got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: offset, Topic: topic, Partition: partition}, rp2, kgo.DefaultDecompressor(), nil)
		switch {
		case got.Err != nil:
			return nil, fmt.Errorf("read %s/%d at %d: %w", topic, partition, offset, describe(got.Err, ""))
		case len(got.Records) > 0:
			return got.Records[0], nil
		case next <= offset:
			return nil, nil
		}
		offset = next
	}
	return nil, nil
}
