package route

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a cluster in memory: logs that every broker would have, of which only the leader takes and gives records. Broker 1 is this one.
type world struct {
	testing.TB
	*Verbs

	mu      sync.Mutex
	img     *metadata.Image
	logs    map[kafka.TopicPartition]*memLog
	changed chan struct{} // closed and replaced with each change
	down    map[kafka.BrokerID]bool
	// fault is asked before a request to another broker is served, and after; an error is what the asker gets.
	fault     func(to kafka.BrokerID, q kmsg.Request, served bool) error
	asked     []string
	direct    int // Produces that went straight to this broker
	producers kafka.ProducerID
	maxBatch  int
	groups    map[string]kafka.BrokerID // who coordinates
	shares    *shares
}

type memLog struct {
	batches []record.Batches
	end     kafka.Offset
	known   map[kafka.ProducerID]stored
}

// stored is the last batch of a producer.
type stored struct {
	first, next kafka.Sequence
	base        kafka.Offset
}

func newWorld(t testing.TB) *world {
	w := &world{
		TB: t, img: metadata.Empty(), logs: map[kafka.TopicPartition]*memLog{}, changed: make(chan struct{}), down: map[kafka.BrokerID]bool{},
		maxBatch: 1 << 20, groups: map[string]kafka.BrokerID{},
	}
	w.shares = &shares{w: w}
	for id := range kafka.BrokerID(3) {
		w.fold(&metadata.BrokerRecord{Broker: metadata.Broker{ID: id + 1}})
	}
	w.Verbs = New(Options{Local: &local{w: w}, NodeID: 1, Peers: w, Dial: w.dial, States: w})
	t.Cleanup(w.Close)
	return w
}

func (w *world) fold(records ...metadata.Record) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	img, _, err := metadata.Fold(w.img, records)
	if err != nil {
		w.Fatal(err)
	}
	w.img = img
	w.wakeLocked()
}

func (w *world) wakeLocked() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	w.wakeLocked()
}

// topic makes a topic of partitions with these leaders; replicas says of how many each has.
func (w *world) topic(name string, id byte, replicas int, leaders ...kafka.BrokerID) {
	w.Helper()
	all := []kafka.BrokerID{1, 2, 3}
	var runs []metadata.PartitionRun
	for _, l := range leaders {
		on := all
		if replicas == 1 {
			on = []kafka.BrokerID{l}
		}
		runs = append(runs, metadata.PartitionRun{Count: 1, Partition: metadata.Partition{Replicas: on, ISR: on, Leader: l}})
	}
	w.fold(&metadata.TopicRecord{Name: name, ID: kafka.UUID{id}, Partitions: runs})
}

// lead gives a partition another leader.
func (w *world) lead(topic string, partition int32, leader kafka.BrokerID) {
	t := w.Image().Topics.ByName(topic)
	s := t.Partitions[partition]
	s.Leader, s.LeaderEpoch = leader, s.LeaderEpoch+1
	w.fold(&metadata.PartitionChangeRecord{TopicID: t.ID, Partition: partition, State: s})
}

// Image is that of this moment.
func (w *world) Image() *metadata.Image {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.img
}

func (w *world) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// leads is an error unless a broker leads a partition. mu is held.
func (w *world) leadsLocked(id kafka.BrokerID, tp kafka.TopicPartition) error {
	_, p, ok := w.img.Partition(tp)
	switch {
	case !ok:
		return kafka.UnknownTopicOrPartition
	case p.Leader != id:
		return kafka.NotLeaderOrFollower
	}
	return nil
}

func (w *world) logLocked(tp kafka.TopicPartition) *memLog {
	l := w.logs[tp]
	if l == nil {
		l = &memLog{known: map[kafka.ProducerID]stored{}}
		w.logs[tp] = l
	}
	return l
}

// append is what a broker does with a batch.
func (w *world) append(id kafka.BrokerID, tp kafka.TopicPartition, batch []byte) (kafka.Offset, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.leadsLocked(id, tp); err != nil {
		return kafka.NoOffset, err
	}
	if len(batch) > w.maxBatch {
		return kafka.NoOffset, kafka.Errorf(kafka.MessageTooLarge, "too large")
	}
	l := w.logLocked(tp)
	b := record.Batches(slices.Clone(batch))
	h, ok := record.ParseHeader(b)
	if !ok {
		return kafka.NoOffset, kafka.CorruptMessage
	}
	if h.ProducerID >= 0 {
		switch last, known := l.known[h.ProducerID]; {
		case known && h.BaseSequence == last.first:
			return last.base, nil // a repeat
		case known && h.BaseSequence != last.next, !known && h.BaseSequence != 0:
			return kafka.NoOffset, kafka.OutOfOrderSequenceNumber
		}
		l.known[h.ProducerID] = stored{h.BaseSequence, h.BaseSequence.Add(h.Records), l.end}
	}
	base := l.end
	record.Stamp(b, base, 0)
	l.batches, l.end = append(l.batches, b), base+kafka.Offset(h.Records)
	w.wakeLocked()
	return base, nil
}

// read is the batches from an offset on, at most one.
func (w *world) readLocked(id kafka.BrokerID, tp kafka.TopicPartition, from kafka.Offset) (record.Batches, kafka.Offset, error) {
	if err := w.leadsLocked(id, tp); err != nil {
		return nil, kafka.NoOffset, err
	}
	l := w.logLocked(tp)
	if from < 0 || from > l.end {
		return nil, l.end, kafka.OffsetOutOfRange
	}
	for _, b := range l.batches {
		if h, _ := record.ParseHeader(b); h.NextOffset() > from {
			return b, l.end, nil
		}
	}
	return nil, l.end, nil
}

// contents are the values in a partition.
func (w *world) contents(tp kafka.TopicPartition) (values []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.logLocked(tp).batches {
		for r, err := range record.Records(b, math.MaxInt32) {
			if err != nil {
				w.Fatal(err)
			}
			values = append(values, string(r.Value))
		}
	}
	return values
}

// fetch reads until there is something, or an error, or the time is up.
func (w *world) fetch(ctx context.Context, id kafka.BrokerID, req *broker.FetchRequest) []broker.FetchResult {
	timer := time.NewTimer(req.MaxWait)
	defer timer.Stop()
	for late := false; ; {
		results := make([]broker.FetchResult, len(req.Partitions))
		enough := late
		w.mu.Lock()
		for i := range req.Partitions {
			at := &req.Partitions[i]
			results[i] = failedFetch(nil)
			name := at.Topic
			if t := w.img.Topics.ByID(at.TopicID); t != nil {
				name = t.Name
			}
			b, end, err := w.readLocked(id, kafka.TopicPartition{Topic: name, Partition: at.Partition}, at.Offset)
			results[i].HighWatermark = end
			if results[i].Err = err; len(b) > 0 {
				results[i].Records = extent(slices.Clone(b))
			}
			enough = enough || err != nil || len(b) > 0
		}
		changed := w.changed
		w.mu.Unlock()
		if enough || ctx.Err() != nil {
			return results
		}
		select {
		case <-changed:
		case <-timer.C:
			late = true
		case <-ctx.Done():
		}
	}
}

func (w *world) list(id kafka.BrokerID, tp kafka.TopicPartition, timestamp int64) (kafka.Offset, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.leadsLocked(id, tp); err != nil {
		return kafka.NoOffset, err
	}
	if timestamp == int64(broker.FromEarliest) {
		return 0, nil
	}
	return w.logLocked(tp).end, nil
}

// Kafka implements Peers.
func (w *world) Kafka(ctx context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	w.mu.Lock()
	w.asked = append(w.asked, fmt.Sprintf("%d %s v%d", to, kmsg.NameForKey(q.Key()), q.GetVersion()))
	down, fault := w.down[to], w.fault
	w.mu.Unlock()
	if down {
		return nil, kafka.Errorf(kafka.BrokerNotAvailable, "down")
	}
	if fault != nil {
		if err := fault(to, q, false); err != nil {
			return nil, err
		}
	}
	a := w.serve(ctx, to, q)
	if fault != nil {
		if err := fault(to, q, true); err != nil {
			return nil, err
		}
	}
	return a, ctx.Err()
}

func (w *world) serve(ctx context.Context, id kafka.BrokerID, q kmsg.Request) kmsg.Response {
	switch q := q.(type) {
	case *kmsg.ProduceRequest:
		a := q.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range q.Topics {
			topic := kmsg.ProduceResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				one := kmsg.NewProduceResponseTopicPartition()
				base, err := w.append(id, kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}, p.Records)
				one.Partition, one.BaseOffset, one.ErrorCode = p.Partition, int64(base), int16(kafka.CodeOf(err))
				topic.Partitions = append(topic.Partitions, one)
			}
			a.Topics = append(a.Topics, topic)
		}
		return a
	case *kmsg.FetchRequest:
		req := &broker.FetchRequest{MaxWait: time.Duration(q.MaxWaitMillis) * time.Millisecond}
		for _, t := range q.Topics {
			for _, p := range t.Partitions {
				req.Partitions = append(req.Partitions, broker.FetchPartition{TopicID: t.TopicID, Partition: p.Partition, Offset: kafka.Offset(p.FetchOffset)})
			}
		}
		a := q.ResponseKind().(*kmsg.FetchResponse)
		for i, r := range w.fetch(ctx, id, req) {
			one := kmsg.NewFetchResponseTopicPartition()
			one.Partition, one.ErrorCode, one.HighWatermark = req.Partitions[i].Partition, int16(kafka.CodeOf(r.Err)), int64(r.HighWatermark)
			if r.Records != nil {
				one.RecordBatches, _ = r.Records.Bytes()
			}
			a.Topics = append(a.Topics, kmsg.FetchResponseTopic{TopicID: req.Partitions[i].TopicID, Partitions: []kmsg.FetchResponseTopicPartition{one}})
		}
		return a
	case *kmsg.ListOffsetsRequest:
		a := q.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, t := range q.Topics {
			topic := kmsg.ListOffsetsResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				one := kmsg.NewListOffsetsResponseTopicPartition()
				offset, err := w.list(id, kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}, p.Timestamp)
				one.Partition, one.Offset, one.ErrorCode = p.Partition, int64(offset), int16(kafka.CodeOf(err))
				topic.Partitions = append(topic.Partitions, one)
			}
			a.Topics = append(a.Topics, topic)
		}
		return a
	}
	return w.serveGroup(id, q)
}

// local is broker 1.
type local struct {
	Local // what no test uses
	w     *world
}

func (l *local) Image() *metadata.Image { return l.w.Image() }

func (l *local) EnsureTopics(_ context.Context, _ *broker.Session, names []string) []error {
	return make([]error, len(names))
}

func (l *local) InitProducerID(ctx context.Context, _ *broker.Session, req broker.InitProducerIDRequest) (kafka.ProducerID, kafka.ProducerEpoch, error) {
	if ctx.Err() != nil {
		return kafka.NoProducer, -1, ctx.Err()
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.producers++
	return l.w.producers, 0, nil
}

type ready[R any] struct{ r R }

func (a ready[R]) Wait(context.Context) R { return a.r }

func (l *local) Produce(_ *broker.Session, req *broker.ProduceRequest) broker.Await[[]broker.ProduceResult] {
	results := make([]broker.ProduceResult, len(req.Partitions))
	for i := range req.Partitions {
		at := &req.Partitions[i]
		h, _ := record.ParseHeader(at.Records)
		if h.ProducerID < 0 {
			l.w.set(func() { l.w.direct++ })
		}
		results[i] = failed(nil)
		results[i].BaseOffset, results[i].Err = l.w.append(1, kafka.TopicPartition{Topic: at.Topic, Partition: at.Partition}, at.Records)
	}
	return ready[[]broker.ProduceResult]{results}
}

type localFetch struct {
	l   *local
	req *broker.FetchRequest
}

func (f localFetch) Wait(ctx context.Context) []broker.FetchResult { return f.l.w.fetch(ctx, 1, f.req) }

func (l *local) Fetch(_ *broker.Session, req *broker.FetchRequest) broker.Await[[]broker.FetchResult] {
	return localFetch{l, req}
}

func (l *local) ListOffsets(_ context.Context, _ *broker.Session, _ kafka.BrokerID, _ broker.Isolation, parts []broker.ListOffsetsPartition) []broker.ListOffsetsResult {
	results := make([]broker.ListOffsetsResult, len(parts))
	for i, p := range parts {
		results[i] = notListed(nil)
		results[i].Offset, results[i].Err = l.w.list(1, kafka.TopicPartition{Topic: p.Topic, Partition: p.Partition}, p.Timestamp)
	}
	return results
}

var somebody = &broker.Session{Door: "test"}
