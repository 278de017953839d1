package kafkasrv

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// fakeBroker keeps topics and batches in memory: enough for real clients to create, produce, consume and trim.
type fakeBroker struct {
	mu      sync.Mutex
	image   *metadata.Image
	logs    map[kafka.TopicPartition]*fakeLog
	changed chan struct{} // closed and replaced at every append
	nextPID kafka.ProducerID
	auto    bool

	// hold, if not nil, keeps produces with acks from being answered until it is closed.
	hold chan struct{}
	// say, if not nil, answers requests about groups and transactions; nil from it stands for an answer with the defaults.
	say func(ctx context.Context, s *broker.Session, q kmsg.Request) kmsg.Response
	// asked records the verbs, for tests that look at what reached the broker.
	asked []string
	open  int // extents handed out and not released

	aborted         []broker.AbortedTxn // who reads committed records is told so
	fetched         broker.FetchRequest // the last one
	fetchedPeer     bool                // by another broker
	transactionalID string              // of the last produce, as is support
	support         broker.TransactionSupport
}

type fakeLog struct {
	start   kafka.Offset
	batches [][]byte
}

func (l *fakeLog) end() kafka.Offset {
	if len(l.batches) == 0 {
		return l.start
	}
	h, _ := record.ParseHeader(l.batches[len(l.batches)-1])
	return h.NextOffset()
}

const fakeCluster = "AAAAAAAAAAAAAAAAAAAAAQ"

func newFakeBroker(topics ...string) *fakeBroker {
	f := &fakeBroker{logs: map[kafka.TopicPartition]*fakeLog{}, changed: make(chan struct{}), auto: true}
	f.image = metadata.Empty()
	f.apply(
		&metadata.ClusterRecord{ID: fakeCluster},
		&metadata.BrokerRecord{Broker: metadata.Broker{ID: 1, Epoch: 1}},
		&metadata.ControllerRecord{Controller: 1, Term: 1},
		&metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: 1},
	)
	for _, name := range topics {
		f.addTopic(name, 2)
	}
	return f
}

func (f *fakeBroker) apply(records ...metadata.Record) {
	image, _, err := metadata.Fold(f.image, records)
	if err != nil {
		panic(err)
	}
	f.image = image
}

func (f *fakeBroker) addTopic(name string, partitions int32) kafka.UUID {
	id := kafka.NewUUID()
	p := metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}
	f.apply(&metadata.TopicRecord{ID: id, Name: name, Partitions: []metadata.PartitionRun{{Count: partitions, Partition: p}}})
	for i := range partitions {
		f.logs[kafka.TopicPartition{Topic: name, Partition: i}] = &fakeLog{}
	}
	return id
}

func (f *fakeBroker) note(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fakeBroker) Image() *metadata.Image {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.image
}

func (f *fakeBroker) find(name string, id kafka.UUID, partition int32) (*fakeLog, error) {
	if name == "" {
		t := f.image.Topics.ByID(id)
		if t == nil {
			return nil, kafka.UnknownTopicID
		}
		name = t.Name
	}
	log := f.logs[kafka.TopicPartition{Topic: name, Partition: partition}]
	if log == nil {
		return nil, kafka.UnknownTopicOrPartition
	}
	return log, nil
}

// fakeAwait answers once until is closed; nil: at once.
type fakeAwait[R any] struct {
	until <-chan struct{}
	r     R
}

func (a fakeAwait[R]) Ready() bool { return a.until == nil }

func (a fakeAwait[R]) Wait(ctx context.Context) R {
	if a.until != nil {
		select {
		case <-a.until:
		case <-ctx.Done():
		}
	}
	return a.r
}

func (f *fakeBroker) Produce(_ *broker.Session, req *broker.ProduceRequest) broker.Await[[]broker.ProduceResult] {
	f.mu.Lock()
	defer f.mu.Unlock()
	results := make([]broker.ProduceResult, len(req.Partitions))
	for i := range req.Partitions {
		results[i] = f.append(&req.Partitions[i])
	}
	f.note("produce acks=%d partitions=%d", req.Acks, len(req.Partitions))
	f.support, f.transactionalID = req.Transactions, req.TransactionalID
	close(f.changed)
	f.changed = make(chan struct{})
	if req.Acks == 0 {
		return fakeAwait[[]broker.ProduceResult]{nil, results}
	}
	return fakeAwait[[]broker.ProduceResult]{f.hold, results}
}

func (f *fakeBroker) append(p *broker.ProducePartition) broker.ProduceResult {
	res := broker.ProduceResult{BaseOffset: kafka.NoOffset, LogAppendTime: kafka.NoTimestamp, Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch}
	log, err := f.find(p.Topic, p.TopicID, p.Partition)
	if err != nil {
		res.Err = err
		return res
	}
	h, ok := record.ParseHeader(p.Records)
	switch {
	case len(p.Records) == 0:
		return res
	case !ok || h.Size() != len(p.Records):
		res.Err = kafka.Errorf(kafka.CorruptMessage, "the batch is cut short")
		return res
	case h.Magic != 2:
		res.Err = kafka.UnsupportedForMessageFormat
		res.RecordErrors = []broker.RecordError{{Index: 0, Message: "magic"}}
		return res
	}
	b := slices.Clone([]byte(p.Records))
	res.BaseOffset = log.end()
	record.Stamp(b, res.BaseOffset, 0)
	log.batches = append(log.batches, b)
	return res
}

// fakeExtent counts that it is released once.
type fakeExtent struct {
	f *fakeBroker
	b []byte
}

func (x *fakeExtent) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(x.b)
	return int64(n), err
}
func (x *fakeExtent) Len() int                       { return len(x.b) }
func (x *fakeExtent) Bytes() (record.Batches, error) { return x.b, nil }
func (x *fakeExtent) Release() {
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	x.f.open--
}

type fakeFetch struct {
	f   *fakeBroker
	req *broker.FetchRequest
}

func (f *fakeBroker) Fetch(s *broker.Session, req *broker.FetchRequest) broker.Await[[]broker.FetchResult] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if req.Following != nil {
		req.Partitions = req.Following.Asked()
	}
	f.fetched, f.fetchedPeer = *req, s.Peer
	f.fetched.Partitions = slices.Clone(req.Partitions)
	return fakeFetch{f, req}
}

func (a fakeFetch) Wait(ctx context.Context) []broker.FetchResult {
	results := a.wait(ctx)
	if a.req.Following == nil {
		return results
	}
	told, asked := results[:0], a.req.Partitions[:0]
	for i := range results {
		if at := a.req.Partitions[i]; a.req.Following.Tell(&at, &results[i]) {
			told, asked = append(told, results[i]), append(asked, at)
		}
	}
	a.req.Partitions = asked
	return told
}

func (a fakeFetch) wait(ctx context.Context) []broker.FetchResult {
	timeout := time.NewTimer(a.req.MaxWait)
	defer timeout.Stop()
	for {
		results, bytes, changed := a.f.read(a.req)
		if bytes >= a.req.MinBytes || a.req.MaxWait <= 0 {
			return results
		}
		release := func() {
			for _, r := range results {
				if r.Records != nil {
					r.Records.Release()
				}
			}
		}
		select {
		case <-changed:
			release()
		case <-timeout.C:
			return results
		case <-ctx.Done():
			return results
		}
	}
}

func (f *fakeBroker) read(req *broker.FetchRequest) (results []broker.FetchResult, bytes int, changed chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range req.Partitions {
		p := &req.Partitions[i]
		res := broker.FetchResult{HighWatermark: -1, LastStable: -1, LogStart: -1, Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch, PreferredRead: kafka.NoBroker}
		log, err := f.find(p.Topic, p.TopicID, p.Partition)
		switch {
		case err != nil:
			res.Err, bytes = err, bytes+req.MinBytes
		case p.Offset < log.start || p.Offset > log.end():
			res.Err, bytes = kafka.OffsetOutOfRange, bytes+req.MinBytes
		default:
			res.HighWatermark, res.LastStable, res.LogStart = log.end(), log.end(), log.start
			if req.Isolation == broker.ReadCommitted && f.aborted != nil {
				res.LastStable, res.Aborted = log.end()-1, f.aborted
			}
			var data []byte
			for _, b := range log.batches {
				h, _ := record.ParseHeader(b)
				if h.NextOffset() > p.Offset && (len(data) == 0 && bytes == 0 || len(data)+len(b) <= p.MaxBytes && bytes+len(data)+len(b) <= req.MaxBytes) {
					data = append(data, b...)
				}
			}
			if len(data) > 0 {
				res.Records = &fakeExtent{f, data}
				f.open++
				bytes += len(data)
			}
		}
		results = append(results, res)
	}
	return results, bytes, f.changed
}

func (f *fakeBroker) ListOffsets(_ context.Context, _ *broker.Session, _ kafka.BrokerID, _ broker.Isolation, parts []broker.ListOffsetsPartition) []broker.ListOffsetsResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	results := make([]broker.ListOffsetsResult, len(parts))
	for i := range parts {
		log, err := f.find(parts[i].Topic, kafka.UUID{}, parts[i].Partition)
		if err != nil {
			results[i].Err = err
			continue
		}
		results[i] = broker.ListOffsetsResult{Timestamp: kafka.NoTimestamp, Offset: log.end()}
		if parts[i].Timestamp == -2 {
			results[i].Offset = log.start
		}
	}
	return results
}

func (f *fakeBroker) OffsetForLeaderEpoch(_ *broker.Session, _ kafka.BrokerID, q []broker.EpochQuery) []broker.EpochAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	answers := make([]broker.EpochAnswer, len(q))
	for i := range q {
		if log, err := f.find(q[i].Topic, kafka.UUID{}, q[i].Partition); err != nil {
			answers[i].Err = err
		} else {
			answers[i].EpochEnd = broker.EpochEnd{Epoch: 0, End: log.end()}
		}
	}
	return answers
}

func (f *fakeBroker) DeleteRecords(_ context.Context, _ *broker.Session, parts []broker.TrimPartition) []broker.TrimResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	results := make([]broker.TrimResult, len(parts))
	for i, p := range parts {
		log, err := f.find(p.Topic, kafka.UUID{}, p.Partition)
		if err != nil {
			results[i].Err = err
			continue
		}
		if p.Before == -1 {
			p.Before = log.end()
		}
		log.start = max(log.start, min(p.Before, log.end()))
		results[i].LowWatermark = log.start
	}
	return results
}

func (f *fakeBroker) InitProducerID(_ context.Context, _ *broker.Session, req broker.InitProducerIDRequest) (kafka.ProducerID, kafka.ProducerEpoch, error) {
	if req.TransactionalID != nil {
		return kafka.NoProducer, -1, kafka.CoordinatorNotAvailable
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextPID++
	return f.nextPID, 0, nil
}

func (f *fakeBroker) DescribeProducers(_ *broker.Session, tp kafka.TopicPartition) ([]broker.ProducerState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.find(tp.Topic, kafka.UUID{}, tp.Partition); err != nil {
		return nil, err
	}
	return []broker.ProducerState{{ID: 7, Epoch: 1, LastSequence: 4, LastTimestamp: 5, Coordinator: -1, TxnStart: -1}}, nil
}

func (f *fakeBroker) DescribeLogDirs(_ *broker.Session, want func(kafka.TopicPartition) bool) []broker.LogDir {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir := broker.LogDir{Path: "/data", Total: 100, Free: 50}
	for tp := range f.logs {
		if want(tp) {
			dir.Logs = append(dir.Logs, broker.LogInfo{TopicPartition: tp, Size: 10})
		}
	}
	return []broker.LogDir{dir}
}

func (f *fakeBroker) CreateTopics(_ context.Context, _ *broker.Session, topics []broker.NewTopic, validateOnly bool) []broker.CreatedTopic {
	f.mu.Lock()
	defer f.mu.Unlock()
	results := make([]broker.CreatedTopic, len(topics))
	for i, t := range topics {
		n := t.Partitions
		if len(t.Assignment) > 0 {
			n = int32(len(t.Assignment))
		} else if n == -1 {
			n = 1
		}
		results[i] = broker.CreatedTopic{Name: t.Name, Partitions: n, Replication: 1, Configs: f.configs()}
		switch {
		case !validTopicName(t.Name):
			results[i].Err = kafka.Errorf(kafka.InvalidTopicException, "%q is no name for a topic", t.Name)
		case n <= 0 || n > 1000:
			results[i].Err = kafka.Errorf(kafka.InvalidPartitions, "%d partitions", n)
		case f.image.Topics.ByName(t.Name) != nil:
			results[i].Err = kafka.Errorf(kafka.TopicAlreadyExists, "topic %q already exists", t.Name)
		case !validateOnly:
			results[i].ID = f.addTopic(t.Name, n)
		}
	}
	return results
}

func (f *fakeBroker) DeleteTopics(_ context.Context, _ *broker.Session, topics []broker.TopicRef) []broker.DeletedTopic {
	f.mu.Lock()
	defer f.mu.Unlock()
	results := make([]broker.DeletedTopic, len(topics))
	for i, ref := range topics {
		t := f.image.Topics.ByName(ref.Name)
		results[i] = broker.DeletedTopic{Err: kafka.UnknownTopicOrPartition, Name: ref.Name, ID: ref.ID}
		if ref.Name == "" {
			t = f.image.Topics.ByID(ref.ID)
			results[i].Err = kafka.UnknownTopicID
		}
		if t != nil {
			results[i] = broker.DeletedTopic{Name: t.Name, ID: t.ID}
			f.apply(&metadata.RemoveTopicRecord{ID: t.ID})
		}
	}
	return results
}

func (f *fakeBroker) CreatePartitions(_ context.Context, _ *broker.Session, topics []broker.MorePartitions, _ bool) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(topics))
	for i, t := range topics {
		if f.image.Topics.ByName(t.Topic) == nil {
			errs[i] = kafka.UnknownTopicOrPartition
		}
	}
	return errs
}

func (f *fakeBroker) EnsureTopics(_ context.Context, _ *broker.Session, names []string) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(names))
	for i, name := range names {
		switch {
		case f.image.Topics.ByName(name) != nil:
		case f.auto:
			f.addTopic(name, 1)
		default:
			errs[i] = kafka.UnknownTopicOrPartition
		}
	}
	return errs
}

func (f *fakeBroker) configs() []broker.DescribedConfig {
	value := "604800000"
	return []broker.DescribedConfig{{
		Name: "retention.ms", Value: &value, Source: broker.SourceDefault, Type: 5, Doc: "How long records stay.",
		Synonyms: []broker.ConfigSynonym{{Name: "log.retention.ms", Value: &value, Source: broker.SourceDefault}},
	}}
}

func (f *fakeBroker) DescribeConfigs(_ *broker.Session, q []broker.ConfigQuery) []broker.ConfigAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	answers := make([]broker.ConfigAnswer, len(q))
	for i := range q {
		answers[i].Configs = f.configs()
		if q[i].Type == metadata.ResourceTopic && f.image.Topics.ByName(q[i].Name) == nil {
			answers[i] = broker.ConfigAnswer{Err: kafka.Errorf(kafka.UnknownTopicOrPartition, "there is no topic %q", q[i].Name)}
		}
	}
	return answers
}

func (f *fakeBroker) AlterConfigs(_ context.Context, _ *broker.Session, r []broker.AlterResource, validateOnly bool) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(r))
	for i := range r {
		for _, c := range r[i].Changes {
			f.note("alter %s %s op=%d replace=%t validate=%t", r[i].Resource, c.Name, c.Op, r[i].Replace, validateOnly)
		}
		if r[i].Type == metadata.ResourceTopic && f.image.Topics.ByName(r[i].Name) == nil {
			errs[i] = kafka.UnknownTopicOrPartition
		}
	}
	return errs
}

func (f *fakeBroker) ListConfigResources(_ *broker.Session, types []metadata.ResourceType) []metadata.Resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []metadata.Resource
	for _, t := range types {
		switch t {
		case metadata.ResourceTopic:
			for _, topic := range f.image.Topics.Sorted() {
				all = append(all, metadata.Resource{Type: t, Name: topic.Name})
			}
		case metadata.ResourceBroker:
			all = append(all, metadata.Resource{Type: t, Name: strconv.Itoa(1)})
		}
	}
	return all
}

var (
	_ Broker         = (*fakeBroker)(nil)
	_ storage.Extent = (*fakeExtent)(nil)
)
