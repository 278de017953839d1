package broker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/storage"
)

// world is a broker with node id 1 over logs in memory whose durability the test decides.
type world struct {
	testing.TB
	engine   *partitiontest.Engine
	replicas *replica.Manager
	img      *metadata.Image
	settings *partition.Settings // of all topics
	rate     int64               // leader.replication.throttled.rate
	noLease  atomic.Bool         // the controller has not been heard of
	*Broker
}

func newWorld(t testing.TB) *world {
	engine := partitiontest.New()
	w := newWorldOver(t, engine)
	w.engine = engine
	return w
}

func newWorldOver(t testing.TB, engine storage.Engine) *world {
	w := &world{TB: t, img: metadata.Empty(), rate: replica.Unthrottled}
	settings := &partition.Settings{MinISR: 1, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
	w.settings = settings
	m, err := replica.New(replica.Options{
		ThrottledRates: func(*metadata.Image) (leader, follower int64) { return w.rate, replica.Unthrottled },
		NodeID:         1, Engine: engine, Logger: slog.New(slog.DiscardHandler),
		Settings: func(*metadata.Image, string) *partition.Settings { return settings },
		Lease:    func() bool { return !w.noLease.Load() },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.replicas = m
	w.Broker = New(Options{AdminOptions: AdminOptions{NodeID: 1}, Image: func() *metadata.Image { return w.img }, Replicas: m, ProducerIDs: &blocks{size: 3}})
	return w
}

func (w *world) fold(records ...metadata.Record) {
	w.Helper()
	img, delta, err := metadata.Fold(w.img, records)
	if err != nil {
		w.Fatal(err)
	}
	w.img = img
	w.replicas.Apply(img, delta)
}

// topic makes a topic that this broker leads.
func (w *world) topic(name string, id byte, partitions int32) {
	w.Helper()
	led := metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}
	w.fold(&metadata.TopicRecord{Name: name, ID: kafka.UUID{id}, Partitions: []metadata.PartitionRun{{Count: partitions, Partition: led}}})
}

// log is the log behind a partition, which must have been used.
func (w *world) log(topic string, i int32) *partitiontest.Log {
	return w.engine.Log(storage.ID{TopicPartition: kafka.TopicPartition{Topic: topic, Partition: i}, TopicID: w.img.Topics.ByName(topic).ID})
}

var anybody = &Session{Door: "test"}

func plainBatch(n, size int) record.Batches {
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = record.Record{Value: make([]byte, size), Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}
	}
	b, err := record.Build(nil, record.PlainOptions(), recs)
	if err != nil {
		panic(err)
	}
	return b
}

// request names partitions as topic, index.
func produceRequest(acks int16, at ...ProducePartition) *ProduceRequest {
	return &ProduceRequest{Acks: acks, Timeout: time.Second, Partitions: at}
}

func (w *world) produce(acks int16, at ...ProducePartition) []ProduceResult {
	return w.Produce(anybody, produceRequest(acks, at...)).Wait(context.Background())
}

func fetchRequest(wait time.Duration, minBytes int, at ...FetchPartition) *FetchRequest {
	return &FetchRequest{ReplicaID: kafka.NoBroker, MaxWait: wait, MinBytes: minBytes, MaxBytes: 1 << 20, Partitions: at}
}

func from(topic string, i int32, offset kafka.Offset) FetchPartition {
	return FetchPartition{Topic: topic, Partition: i, Offset: offset, MaxBytes: 1 << 20, LeaderEpoch: kafka.NoEpoch, LastFetchedEpoch: kafka.NoEpoch}
}

func (w *world) fetch(req *FetchRequest) []FetchResult {
	return w.Fetch(anybody, req).Wait(context.Background())
}

// got is the number of bytes of a result.
func got(r FetchResult) int {
	if r.Records == nil {
		return 0
	}
	return r.Records.Len()
}

func wantCode(t testing.TB, err error, code kafka.ErrorCode) {
	t.Helper()
	if kafka.CodeOf(err) != code {
		t.Errorf("error %v, want %v", err, code)
	}
}

// blocks hands out producer ids.
type blocks struct {
	size int32
	next kafka.ProducerID
	err  error
}

func (b *blocks) AllocateProducerIDs(ctx context.Context) (kafka.ProducerID, int32, error) {
	if b.err != nil || ctx.Err() != nil {
		return 0, 0, context.Cause(ctx)
	}
	first := b.next
	b.next += kafka.ProducerID(b.size)
	return first, b.size, nil
}
