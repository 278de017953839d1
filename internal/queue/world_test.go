package queue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/replica"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a manager on node 1 over logs and states in memory.
type world struct {
	testing.TB
	engine   *partitiontest.Engine
	replicas *replica.Manager
	mu       sync.Mutex // guards img and share
	img      *metadata.Image
	share    config.ShareGroup // the settings of every group
	values   map[string]string // settings of this broker and of all topics
	states   *states
	groups   *groups
	creates  func(name string) error
	peers    Peers // nil: there is one node
	deposed  atomic.Bool
	*Manager
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, engine: partitiontest.New(), img: metadata.Empty(), states: newStates(), groups: &groups{}, values: map[string]string{}}
	w.share = (&config.Layers{}).Group().Share
	w.share.OffsetReset = "earliest"
	m, err := replica.New(replica.Options{
		NodeID: 1, Engine: w.engine, Logger: slog.New(slog.DiscardHandler), Lease: func() bool { return !w.deposed.Load() },
		Settings: func(*metadata.Image, string) *partition.Settings {
			return &partition.Settings{MinISR: 1, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.replicas = m
	w.start()
	t.Cleanup(func() { w.Manager.Close() })
	return w
}

// start makes the manager anew, as a restart does.
func (w *world) start() {
	w.Manager = New(Options{
		NodeID: 1, Replicas: w.replicas, Image: w.image, Settings: w, States: w.states, Groups: w.groups, Logger: slog.New(slog.DiscardHandler),
		CreateTopic: func(_ context.Context, name string, settings map[string]string) error { return w.creates(name) },
		Peers:       w.peers,
	})
	w.Manager.Start()
}

func (w *world) image() *metadata.Image {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.img
}

// Group and Value implement Settings.
func (w *world) Group(*metadata.Image, string) config.GroupConfig {
	w.mu.Lock()
	defer w.mu.Unlock()
	return config.GroupConfig{Share: w.share}
}

func (w *world) Value(_ *metadata.Image, _ metadata.Resource, name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.values[name]
}

// set changes settings and makes a new image, as the controller does.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	next := *w.img
	w.img = &next
}

func (w *world) fold(records ...metadata.Record) {
	w.Helper()
	img, delta, err := metadata.Fold(w.image(), records)
	if err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	w.img = img
	w.mu.Unlock()
	w.replicas.Apply(img, delta)
}

// topic makes a topic that this broker leads.
func (w *world) topic(name string, id byte, partitions int32) {
	w.Helper()
	led := metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}
	w.fold(&metadata.TopicRecord{Name: name, ID: kafka.UUID{id}, Partitions: []metadata.PartitionRun{{Count: partitions, Partition: led}}})
}

func (w *world) partition(topic string, i int32) *partition.Partition {
	w.Helper()
	t, err := w.replicas.ByName(topic)
	if err != nil {
		w.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// produce appends one batch.
func (w *world) produce(topic string, i int32, recs ...record.Record) {
	w.Helper()
	for j := range recs {
		recs[j].Offset, recs[j].Timestamp = kafka.Offset(j), kafka.Timestamp(time.Now().UnixMilli())
	}
	b, err := record.Build(nil, record.PlainOptions(), recs)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.partition(topic, i).AppendAsLeader(partition.Append{Records: b, AllReplicas: true}, time.Now()); err != nil {
		w.Fatal(err)
	}
}

func values(texts ...string) (recs []record.Record) {
	for _, t := range texts {
		recs = append(recs, record.Record{Value: []byte(t)})
	}
	return recs
}

// read is all records of a partition.
func (w *world) read(topic string, i int32) (recs []record.Record) {
	w.Helper()
	read, err := w.partition(topic, i).Read(partition.ReadRequest{MaxBytes: 1 << 20, AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	if err != nil {
		w.Fatal(err)
	}
	if read.Records == nil {
		return nil
	}
	defer read.Records.Release()
	raw, err := read.Records.Bytes()
	if err != nil {
		w.Fatal(err)
	}
	return w.recordsOf(raw)
}

func (w *world) recordsOf(raw []byte) (recs []record.Record) {
	w.Helper()
	for _, b := range record.Batches(slices.Clone(raw)).All() {
		for r, err := range record.Records(b, 0) {
			if err != nil {
				w.Fatal(err)
			}
			recs = append(recs, r)
		}
	}
	return recs
}

// member is a consumer of group g with a connection of its own.
type member struct {
	*world
	name  string
	epoch int32
	conn  *int
	tps   []TopicPartition
}

func (w *world) member(name string, tps ...TopicPartition) *member {
	return &member{world: w, name: name, tps: tps, conn: new(int)}
}

// p names partition i of the topic with an id.
func p(id byte, i int32) TopicPartition { return TopicPartition{kafka.UUID{id}, i} }

// fetched is a record as a member got it.
type fetched struct {
	tp     TopicPartition
	offset kafka.Offset
	count  int16
	value  string
}

// ask is the request that fetches.
func (m *member) ask(wait time.Duration, acks ...ackOf) *kmsg.ShareFetchRequest {
	group := "g"
	req := kmsg.NewPtrShareFetchRequest()
	req.Version, req.GroupID, req.MemberID, req.ShareSessionEpoch = 2, &group, &m.name, m.epoch
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.MaxRecords, req.BatchSize = int32(wait.Milliseconds()), 1, 1<<20, 500, 500
	if m.epoch == 0 {
		for _, tp := range m.tps {
			part := kmsg.NewShareFetchRequestTopicPartition()
			part.Partition = tp.Partition
			topic := kmsg.NewShareFetchRequestTopic()
			topic.TopicID, topic.Partitions = tp.Topic, append(topic.Partitions, part)
			req.Topics = append(req.Topics, topic)
		}
	}
	for _, a := range acks {
		part := kmsg.NewShareFetchRequestTopicPartition()
		part.Partition = a.tp.Partition
		part.AcknowledgementBatches = []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch{{FirstOffset: a.first, LastOffset: a.last, AcknowledgeTypes: []int8{a.typ}}}
		topic := kmsg.NewShareFetchRequestTopic()
		topic.TopicID, topic.Partitions = a.tp.Topic, append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
	}
	return req
}

// ackOf acknowledges a stretch.
type ackOf struct {
	tp          TopicPartition
	first, last int64
	typ         int8
}

// send sends a fetch, as the next of the session.
func (m *member) send(req *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	resp := m.ShareFetch(context.Background(), m.conn, req)
	m.AnswerWritten(m.conn)
	if resp.ErrorCode == 0 {
		m.epoch++
	}
	return resp
}

// fetch fetches, and fails the test on any error.
func (m *member) fetch(wait time.Duration, acks ...ackOf) []fetched {
	m.Helper()
	return m.got(m.send(m.ask(wait, acks...)))
}

// got is the records of an answer that the member holds now.
func (m *member) got(resp *kmsg.ShareFetchResponse) (got []fetched) {
	m.Helper()
	if resp.ErrorCode != 0 {
		m.Fatalf("ShareFetch: %v", kafka.ErrorCode(resp.ErrorCode))
	}
	for _, t := range resp.Topics {
		for _, part := range t.Partitions {
			if part.ErrorCode != 0 || part.AcknowledgeErrorCode != 0 {
				m.Fatalf("partition %d: fetch %v, acknowledge %v", part.Partition, kafka.ErrorCode(part.ErrorCode), kafka.ErrorCode(part.AcknowledgeErrorCode))
			}
			byOffset := map[kafka.Offset]record.Record{}
			for _, r := range m.recordsOf(part.Records) {
				byOffset[r.Offset] = r
			}
			for _, a := range part.AcquiredRecords {
				for o := a.FirstOffset; o <= a.LastOffset; o++ {
					r, ok := byOffset[kafka.Offset(o)]
					if !ok {
						m.Fatalf("offset %d was acquired, but is not among the records", o)
					}
					got = append(got, fetched{TopicPartition{t.TopicID, part.Partition}, kafka.Offset(o), a.DeliveryCount, string(r.Value)})
				}
			}
		}
	}
	return got
}

// acknowledge sends a ShareAcknowledge and returns the code of its partition, or of the whole.
func (m *member) acknowledge(a ackOf) kafka.ErrorCode {
	resp := m.ShareAcknowledge(context.Background(), m.conn, m.askAck(a))
	if resp.ErrorCode != 0 {
		return kafka.ErrorCode(resp.ErrorCode)
	}
	m.epoch++
	return kafka.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
}

func (m *member) askAck(a ackOf) *kmsg.ShareAcknowledgeRequest {
	group := "g"
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.Version, req.GroupID, req.MemberID, req.ShareSessionEpoch, req.IsRenewAck = 2, &group, &m.name, m.epoch, a.typ == share.AckRenew
	part := kmsg.NewShareAcknowledgeRequestTopicPartition()
	part.Partition = a.tp.Partition
	part.AcknowledgementBatches = []kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{{FirstOffset: a.first, LastOffset: a.last, AcknowledgeTypes: []int8{a.typ}}}
	topic := kmsg.NewShareAcknowledgeRequestTopic()
	topic.TopicID, topic.Partitions = a.tp.Topic, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	return req
}

// close ends the session.
func (m *member) close() {
	m.Helper()
	m.epoch = finalEpoch
	if resp := m.ShareFetch(context.Background(), m.conn, m.ask(0)); resp.ErrorCode != 0 {
		m.Fatalf("close: %v", kafka.ErrorCode(resp.ErrorCode))
	}
	m.epoch = 0
}

func texts(got []fetched) (v []string) {
	for _, f := range got {
		v = append(v, f.value)
	}
	return v
}

func wantTexts(t testing.TB, got []fetched, want ...string) {
	t.Helper()
	if !slices.Equal(texts(got), want) {
		t.Errorf("got %q, want %q", texts(got), want)
	}
}

func wantCode(t testing.TB, got, want kafka.ErrorCode) {
	t.Helper()
	if got != want {
		t.Errorf("code %v, want %v", got, want)
	}
}

var errBroken = errors.New("broken")
