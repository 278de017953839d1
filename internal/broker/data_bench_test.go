package broker

import (
	"context"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// BenchmarkProduceOneRecord is the broker's share of a request with one record of 100 bytes: lookup, validation, append, completion, over
// an engine that does nothing but count. One request waits while the next ones are appended, as in a connection.
func BenchmarkProduceOneRecord(b *testing.B) { benchmarkProduce(b, 1, 1, 100) }

// BenchmarkProduceBatches is a request with 512 records of 1 KiB in one batch.
func BenchmarkProduceBatches(b *testing.B) { benchmarkProduce(b, 1, 512, 1024) }

// BenchmarkProduceManyPartitions is a request with one record for each of 100 partitions.
func BenchmarkProduceManyPartitions(b *testing.B) { benchmarkProduce(b, 100, 1, 100) }

func benchmarkProduce(b *testing.B, partitions, records, size int) {
	w := newWorldOver(b, &countEngine{})
	w.topic("a", 1, int32(partitions))
	raw := plainBatch(records, size)
	req := &ProduceRequest{Acks: -1, Timeout: 30 * time.Second}
	for i := range partitions {
		req.Partitions = append(req.Partitions, ProducePartition{Topic: "a", Partition: int32(i), Records: append(record.Batches(nil), raw...)})
	}
	const inFlight = 5
	var awaits [inFlight]Await[[]ProduceResult]
	ctx := context.Background()
	b.SetBytes(int64(partitions * len(raw)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if a := awaits[n%inFlight]; a != nil {
			if r := a.Wait(ctx); r[0].Err != nil {
				b.Fatal(r[0].Err)
			}
		}
		awaits[n%inFlight] = w.Produce(anybody, req)
		n++
	}
}

// BenchmarkFetch is a fetch of 1 MiB that is there.
func BenchmarkFetch(b *testing.B) {
	w := newWorld(b)
	w.topic("a", 1, 1)
	w.fill("a", 0, 10, 1<<20)
	w.engine = nil
	req := fetchRequest(time.Second, 1, from("a", 0, 3))
	w.Broker.opts.Replicas = w.replicas
	b.ReportAllocs()
	for b.Loop() {
		r := w.fetch(req)
		if r[0].Records == nil {
			b.Fatal("nothing fetched")
		}
		r[0].Records.Release()
	}
}

// BenchmarkFetchAtTheEnd is a fetch of 100 partitions that finds nothing and does not wait.
func BenchmarkFetchAtTheEnd(b *testing.B) {
	w := newWorld(b)
	w.topic("a", 1, 100)
	req := fetchRequest(0, 1)
	for i := range int32(100) {
		req.Partitions = append(req.Partitions, from("a", i, 0))
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := w.fetch(req); r[0].Err != nil || r[0].Records != nil {
			b.Fatal("something fetched")
		}
	}
}

// countEngine keeps nothing: its logs know their end, and every third append makes the ones before it durable.
type countEngine struct{ partitiontest.Engine }

func (*countEngine) Open(_ storage.ID, cfg storage.Config) (storage.Log, error) {
	return &countLog{cfg: cfg}, nil
}

type countLog struct {
	partitiontest.Log
	cfg storage.Config
	end kafka.Offset
	n   int
}

func (l *countLog) Append(b record.Batches) (storage.Span, error) {
	h, _ := record.ParseHeader(b)
	l.n++
	if l.n%3 == 0 {
		l.cfg.OnDurable(l.end)
	}
	l.end = h.NextOffset()
	return storage.Span{First: h.BaseOffset, Next: l.end, Bytes: len(b)}, nil
}

func (l *countLog) Sync(context.Context, kafka.Offset) error { return nil }
func (l *countLog) Bounds() storage.Bounds                   { return storage.Bounds{End: l.end, Durable: l.end} }

// BenchmarkFollowManyPartitions is a follower's fetch of 3,000 partitions of which one has a record: what each record costs that is written
// alone while much else is idle.
func BenchmarkFollowManyPartitions(b *testing.B) {
	const partitions = 3000
	w := newWorld(b)
	w.cluster()
	p := metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1}, Leader: 1}
	w.fold(&metadata.TopicRecord{Name: "a", ID: kafka.UUID{1}, Partitions: []metadata.PartitionRun{{Count: partitions, Partition: p}}})
	at := make([]FetchPartition, partitions)
	for i := range at {
		at[i] = from("a", int32(i), 0)
	}
	w.fill("a", partitions/2, 1, 100)
	req := follow(2, time.Second, at...)
	b.ReportAllocs()
	for b.Loop() {
		r := w.Fetch(aPeer, req).Wait(context.Background())
		if got(r[partitions/2]) == 0 {
			b.Fatal(r[partitions/2].Err)
		}
		releaseRecords(r)
	}
}
