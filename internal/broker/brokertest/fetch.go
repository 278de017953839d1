package brokertest

import (
	"bytes"
	"context"
	"io"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Fetch reads whole batches, waiting for MinBytes.
func (b *Broker) Fetch(_ *broker.Session, req *broker.FetchRequest) broker.Await[[]broker.FetchResult] {
	b.mu.Lock()
	b.fetches++
	b.mu.Unlock()
	return await[[]broker.FetchResult]{b: b, timeout: req.MaxWait,
		done: func() ([]broker.FetchResult, bool) {
			results, enough := b.read(req)
			return results, enough
		},
		late: func() []broker.FetchResult {
			results, _ := b.read(req)
			return results
		}}
}

func (b *Broker) read(req *broker.FetchRequest) (results []broker.FetchResult, enough bool) {
	total := 0
	results = make([]broker.FetchResult, len(req.Partitions))
	for i := range req.Partitions {
		p, r := &req.Partitions[i], &results[i]
		_, l, err := b.log("fetch", p.Topic, p.TopicID, p.Partition)
		if err != nil {
			*r = broker.FetchResult{Err: err, HighWatermark: -1, LastStable: -1, LogStart: -1}
			enough = true
			continue
		}
		*r = broker.FetchResult{HighWatermark: l.next, LastStable: l.next, LogStart: l.start, Leader: 1, PreferredRead: kafka.NoBroker}
		if p.Offset < l.start || p.Offset > l.next {
			r.Err, enough = kafka.OffsetOutOfRange, true
			continue
		}
		var found []byte
		for _, one := range l.batches {
			if one.header.NextOffset() <= p.Offset {
				continue
			}
			if len(found)+len(one.bytes) > min(p.MaxBytes, req.MaxBytes-total) && (total > 0 || len(found) > 0) {
				break
			}
			found = append(found, one.bytes...)
		}
		if len(found) > 0 {
			total += len(found)
			r.Records = extent(found)
		}
	}
	return results, enough || total >= req.MinBytes
}

// extent is bytes in memory. After Release it is of no use to anyone, so that who reads on is found out.
type extent record.Batches

func (e extent) Len() int                           { return len(e) }
func (e extent) Bytes() (record.Batches, error)     { return record.Batches(e), nil }
func (e extent) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, bytes.NewReader(e)) }
func (e extent) Release()                           { clear(e) }

// ListOffsets finds offsets by time, or the ends.
func (b *Broker) ListOffsets(_ context.Context, _ *broker.Session, _ kafka.BrokerID, _ broker.Isolation, parts []broker.ListOffsetsPartition) []broker.ListOffsetsResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	results := make([]broker.ListOffsetsResult, len(parts))
	for i, p := range parts {
		r := &results[i]
		r.Timestamp, r.Offset = kafka.NoTimestamp, kafka.NoOffset
		_, l, err := b.log("list", p.Topic, kafka.UUID{}, p.Partition)
		switch {
		case err != nil:
			r.Err = err
		case p.Timestamp == -1:
			r.Offset = l.next
		case p.Timestamp == -2:
			r.Offset = l.start
		default:
			for _, one := range l.batches {
				if int64(one.header.MaxTimestamp) >= p.Timestamp {
					r.Offset, r.Timestamp = max(one.header.BaseOffset, l.start), one.header.MaxTimestamp
					break
				}
			}
		}
	}
	return results
}

// DescribeLogDirs tells the size of every log that has been used.
func (b *Broker) DescribeLogDirs(_ *broker.Session, want func(kafka.TopicPartition) bool) []broker.LogDir {
	b.mu.Lock()
	defer b.mu.Unlock()
	dir := broker.LogDir{Path: "memory", Total: -1, Free: -1}
	for tp, l := range b.logs {
		if want == nil || want(tp) {
			dir.Logs = append(dir.Logs, broker.LogInfo{TopicPartition: tp, Size: l.size})
		}
	}
	return []broker.LogDir{dir}
}
