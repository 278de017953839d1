package partition

import "sync/atomic"

// Stats are the counters of one topic since it exists on this node, shared by its partitions. Requests are counted once for each
// partition they name, as Kafka does.
type Stats struct {
	MessagesIn      atomic.Int64
	BytesIn         atomic.Int64
	BytesOut        atomic.Int64
	ProduceRequests atomic.Int64
	FetchRequests   atomic.Int64
	FailedProduce   atomic.Int64
	FailedFetch     atomic.Int64

	// ProducersEvicted are the idempotent producers that were forgotten because a partition knew too many.
	ProducersEvicted atomic.Int64
}

// AddTo adds what s counts to sum.
func (s *Stats) AddTo(sum *Stats) {
	sum.MessagesIn.Add(s.MessagesIn.Load())
	sum.BytesIn.Add(s.BytesIn.Load())
	sum.BytesOut.Add(s.BytesOut.Load())
	sum.ProduceRequests.Add(s.ProduceRequests.Load())
	sum.FetchRequests.Add(s.FetchRequests.Load())
	sum.FailedProduce.Add(s.FailedProduce.Load())
	sum.FailedFetch.Add(s.FailedFetch.Load())
	sum.ProducersEvicted.Add(s.ProducersEvicted.Load())
}

// CommittedBytes is how many bytes of records became readable since the log was opened. What came together counts as one byte at least.
func (p *Partition) CommittedBytes() int64 { return p.committed.Load() }
