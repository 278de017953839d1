package route

import (
	"context"
	"io"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// fetchVersion is that of requests to other brokers: the first one that names topics by id, as Tails do.
const fetchVersion = 13

// poll is a fetch under way at one broker, this one or another.
type poll struct {
	parts  []broker.FetchPartition
	cancel context.CancelFunc
	done   chan struct{} // closed when results are set

	mu      sync.Mutex // guards what follows; a leaf
	results []broker.FetchResult
	dropped bool // nobody wants the results
}

// partitionAt names what a poll asks for.
type partitionAt struct {
	topic     kafka.UUID
	partition int32
}

// newPoll begins a fetch of some partitions of a request.
func (f *tailFetcher) newPoll(to kafka.BrokerID, s *broker.Session, req *broker.FetchRequest, which []int) *poll {
	p := &poll{done: make(chan struct{})}
	own := *req
	own.Partitions = make([]broker.FetchPartition, len(which))
	for n, i := range which {
		own.Partitions[n] = req.Partitions[i]
	}
	p.parts = own.Partitions
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(f.ctx)
	f.running.Go(func() {
		defer p.cancel()
		var results []broker.FetchResult
		if to == f.v.opts.NodeID {
			results = f.v.Local.Fetch(s, &own).Wait(ctx)
		} else {
			results = f.v.fetchAt(ctx, to, &own)
		}
		p.end(results)
		select {
		case f.heard <- struct{}{}:
		default:
		}
	})
	return p
}

// end sets the results, unless nobody wants them.
func (p *poll) end(results []broker.FetchResult) {
	p.mu.Lock()
	p.results = results
	dropped := p.dropped
	p.mu.Unlock()
	close(p.done)
	if dropped {
		release(results)
	}
}

// drop ends a poll whose results nobody wants. It does not wait.
func (p *poll) drop() {
	p.cancel()
	p.mu.Lock()
	p.dropped = true
	results := p.results
	p.results = nil
	p.mu.Unlock()
	release(results)
}

func release(results []broker.FetchResult) {
	for i := range results {
		if e := results[i].Records; e != nil {
			e.Release()
		}
	}
}

func (p *poll) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// asksFor reports whether a poll asks for just these partitions of a request, at their offsets, in whatever order.
func (p *poll) asksFor(req *broker.FetchRequest, which []int) bool {
	if len(which) != len(p.parts) {
		return false
	}
	offsets := make(map[partitionAt]kafka.Offset, len(p.parts))
	for i := range p.parts {
		offsets[partitionAt{p.parts[i].TopicID, p.parts[i].Partition}] = p.parts[i].Offset
	}
	for _, i := range which {
		at := &req.Partitions[i]
		if offset, ok := offsets[partitionAt{at.TopicID, at.Partition}]; !ok || offset != at.Offset {
			return false
		}
	}
	return true
}

// fill puts the results of a poll that is done where the request has their partitions.
func (p *poll) fill(req *broker.FetchRequest, which []int, results []broker.FetchResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := make(map[partitionAt]int, len(p.parts))
	for n := range p.parts {
		at[partitionAt{p.parts[n].TopicID, p.parts[n].Partition}] = n
	}
	for _, i := range which {
		n := at[partitionAt{req.Partitions[i].TopicID, req.Partitions[i].Partition}]
		if n < len(p.results) {
			results[i] = p.results[n]
		} else {
			results[i] = failedFetch(kafka.Errorf(kafka.NetworkException, "a fetch was ended"))
		}
	}
	p.results = nil
}

// fetchAt fetches at another broker. The answer is in the order of the request.
func (v *Verbs) fetchAt(ctx context.Context, to kafka.BrokerID, req *broker.FetchRequest) []broker.FetchResult {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.ReplicaID, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = fetchVersion, int32(kafka.NoBroker), int32(req.MaxWait.Milliseconds()), int32(req.MinBytes), int32(req.MaxBytes)
	q.IsolationLevel, q.Rack = int8(req.Isolation), req.Rack
	place := make(map[partitionAt]int, len(req.Partitions))
	for i := range req.Partitions {
		at := &req.Partitions[i]
		place[partitionAt{at.TopicID, at.Partition}] = i
		if n := len(q.Topics); n == 0 || q.Topics[n-1].TopicID != at.TopicID {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = at.Topic, at.TopicID
			q.Topics = append(q.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = at.Partition, int64(at.Offset), int32(at.MaxBytes)
		p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = int32(at.LeaderEpoch), int32(at.LastFetchedEpoch), int64(at.LogStart)
		last := &q.Topics[len(q.Topics)-1]
		last.Partitions = append(last.Partitions, p)
	}
	resp, err := v.opts.Peers.Kafka(ctx, to, q)
	a, ok := resp.(*kmsg.FetchResponse)
	switch {
	case err != nil:
		err = unreached(to, err)
	case !ok:
		err = strange(to)
	case a.ErrorCode != 0:
		err = kafka.ErrorCode(a.ErrorCode)
	default:
		err = strange(to) // of a partition that is not in the answer
	}
	results := make([]broker.FetchResult, len(req.Partitions))
	for i := range results {
		results[i] = failedFetch(err)
	}
	if !ok || a.ErrorCode != 0 {
		return results
	}
	for i := range a.Topics {
		for j := range a.Topics[i].Partitions {
			p := &a.Topics[i].Partitions[j]
			if n, asked := place[partitionAt{a.Topics[i].TopicID, p.Partition}]; asked {
				results[n] = fetched(p)
			}
		}
	}
	return results
}

// fetched is what another broker says of a partition.
func fetched(p *kmsg.FetchResponseTopicPartition) broker.FetchResult {
	r := failedFetch(nil)
	if p.ErrorCode != 0 {
		r.Err = kafka.ErrorCode(p.ErrorCode)
	}
	r.HighWatermark, r.LastStable, r.LogStart = kafka.Offset(p.HighWatermark), kafka.Offset(p.LastStableOffset), kafka.Offset(p.LogStartOffset)
	if len(p.RecordBatches) > 0 {
		r.Records = extent(p.RecordBatches)
	}
	return r
}

// extent is records in memory of their own.
type extent record.Batches

func (e extent) Len() int                       { return len(e) }
func (e extent) Bytes() (record.Batches, error) { return record.Batches(e), nil }
func (e extent) Release()                       {}

func (e extent) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(e)
	return int64(n), err
}
