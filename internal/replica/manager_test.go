package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/leaktest"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// world is a manager over logs in memory, with the metadata that it is told.
type world struct {
	*testing.T
	engine *partitiontest.Engine
	img    *metadata.Image
	logged bytes.Buffer
	*Manager
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, engine: partitiontest.New(), img: metadata.Empty()}
	w.start()
	return w
}

// start makes the manager anew, as a restart does, and tells it the whole image.
func (w *world) start() {
	w.Helper()
	m, err := New(Options{
		NodeID: 1, Engine: w.engine, Settings: settings,
		RetentionInterval: time.Minute, CheckpointInterval: time.Second,
		Logger: slog.New(slog.NewTextHandler(&w.logged, nil)),
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Manager = m
	var all metadata.Delta
	for t := range w.img.Topics.All() {
		all.Topics = append(all.Topics, metadata.TopicDelta{After: t})
	}
	m.Apply(w.img, &all)
}

// settings reads retention.ms, which is enough to see which settings are in force.
func settings(img *metadata.Image, topic string) *partition.Settings {
	s := &partition.Settings{MinISR: 1, Delete: true, RetentionTime: -1, RetentionBytes: -1, ProducerExpiry: time.Hour}
	for _, of := range []metadata.Resource{{Type: metadata.ResourceBroker}, {Type: metadata.ResourceTopic, Name: topic}} {
		if v, ok := img.Configs[of]["retention.ms"]; ok {
			var ms int64
			if _, err := fmt.Sscan(v, &ms); err != nil {
				panic(err)
			}
			s.RetentionTime = time.Duration(ms) * time.Millisecond
		}
	}
	return s
}

func (w *world) fold(records ...metadata.Record) {
	w.Helper()
	img, delta, err := metadata.Fold(w.img, records)
	if err != nil {
		w.Fatal(err)
	}
	w.img = img
	w.Apply(img, delta)
}

func here(leader kafka.BrokerID, epoch kafka.LeaderEpoch) metadata.Partition {
	return metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{leader}, Leader: leader, LeaderEpoch: epoch}
}

var elsewhere = metadata.Partition{Replicas: []kafka.BrokerID{2}, ISR: []kafka.BrokerID{2}, Leader: 2}

func topic(name string, id byte, runs ...metadata.PartitionRun) *metadata.TopicRecord {
	return &metadata.TopicRecord{Name: name, ID: kafka.UUID{id}, Partitions: runs}
}

// find looks a partition up both ways.
func (w *world) find(name string, id byte, i int32) *partition.Partition {
	w.Helper()
	t, err := w.ByName(name)
	if err != nil {
		w.Fatal(err)
	}
	u, err := w.ByID(kafka.UUID{id})
	if err != nil || t != u {
		w.Fatalf("by name %v, by id %v, %v", t, u, err)
	}
	p, err := t.Partition(i)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func wantCode(t testing.TB, err error, code kafka.ErrorCode) {
	t.Helper()
	if kafka.CodeOf(err) != code {
		t.Errorf("error %v, want %v", err, code)
	}
}

func batch(t testing.TB, size int) record.Batches {
	b, err := record.Build(nil, record.PlainOptions(), []record.Record{{Value: make([]byte, size), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, p *partition.Partition, size int) {
	t.Helper()
	if _, err := p.AppendAsLeader(partition.Append{Records: batch(t, size)}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// REP-1: after Apply the partitions are those of the image: made, led or not, added, removed, and made again under another id.
func TestPartitionsFollowTheImage(t *testing.T) {
	w := newWorld(t)
	w.fold(topic("a", 1, metadata.PartitionRun{Count: 3, Partition: here(1, 4)}, metadata.PartitionRun{Count: 1, Partition: elsewhere}), topic("b", 2, metadata.PartitionRun{Count: 1, Partition: here(2, 7)}))
	if r := w.find("a", 1, 2).Role(); !r.IsLeader || r.Epoch != 4 || len(r.ISR) != 1 {
		t.Errorf("role %+v", r)
	}
	if r := w.find("b", 2, 0).Role(); r.IsLeader || r.Epoch != 7 {
		t.Errorf("role %+v", r)
	}
	a, _ := w.ByName("a")
	for i, code := range map[int32]kafka.ErrorCode{-1: kafka.UnknownTopicOrPartition, 3: kafka.NotLeaderOrFollower, 4: kafka.UnknownTopicOrPartition} {
		_, err := a.Partition(i)
		wantCode(t, err, code)
	}
	_, err := w.ByName("c")
	wantCode(t, err, kafka.UnknownTopicOrPartition)
	_, err = w.ByID(kafka.UUID{9})
	wantCode(t, err, kafka.UnknownTopicID)

	first := w.find("a", 1, 0)
	write(t, first, 10)
	w.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{1}, Partition: 0, State: here(2, 5)},
		&metadata.PartitionRecord{TopicID: kafka.UUID{1}, First: 4, Runs: []metadata.PartitionRun{{Count: 2, Partition: here(1, 0)}}})
	if p := w.find("a", 1, 0); p != first || p.Role().IsLeader || p.Role().Epoch != 5 {
		t.Errorf("the change made a new partition or left its role: %+v", p.Role())
	}
	if !w.find("a", 1, 5).Role().IsLeader {
		t.Error("an added partition is not led")
	}

	w.fold(&metadata.RemoveTopicRecord{ID: kafka.UUID{1}}, topic("a", 3, metadata.PartitionRun{Count: 1, Partition: here(1, 0)}))
	if _, err := w.ByID(kafka.UUID{1}); err == nil {
		t.Error("the removed topic is still found by id")
	}
	if p := w.find("a", 3, 0); p == first || p.HighWatermark() != 0 {
		t.Error("the new topic has the old one's partition")
	}
	if w.engine.Log(first.ID()) != nil {
		t.Error("the removed topic's log is still there")
	}
	_, err = first.Read(partition.ReadRequest{CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker})
	wantCode(t, err, kafka.UnknownTopicOrPartition)
	if c := w.Counts(); c.Topics != 2 || c.Partitions != 2 || c.Leaders != 1 || c.Total.MessagesIn.Load() != 1 {
		t.Errorf("counts %+v, %d messages in (those of removed topics count)", c, c.Total.MessagesIn.Load())
	}

	w.fold(&metadata.PartitionChangeRecord{TopicID: kafka.UUID{3}, Partition: 0, State: elsewhere})
	a, _ = w.ByName("a")
	_, err = a.Partition(0)
	wantCode(t, err, kafka.NotLeaderOrFollower)
}

// A table that was read stays what it was while others are made from it.
func TestTablesShareWithoutChanging(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.fold(topic(fmt.Sprintf("t%d", i), byte(i+1), metadata.PartitionRun{Count: 1, Partition: here(1, 0)}))
	}
	old := w.table.Load()
	for i := range 200 {
		w.fold(&metadata.RemoveTopicRecord{ID: kafka.UUID{byte(i + 1)}})
	}
	n := 0
	for topic := range old.all() {
		if old.name(topic.Name) != topic || old.id(topic.ID) != topic {
			t.Errorf("%s is lost", topic.Name)
		}
		n++
	}
	if n != 200 || len(w.Topics()) != 0 {
		t.Errorf("%d topics in the old table, %d in the new", n, len(w.Topics()))
	}
}

func TestSettingsFollowTheConfiguration(t *testing.T) {
	w := newWorld(t)
	w.fold(topic("a", 1, metadata.PartitionRun{Count: 2, Partition: here(1, 0)}), topic("b", 2, metadata.PartitionRun{Count: 1, Partition: here(1, 0)}))
	set := func(of metadata.Resource, v string) {
		w.fold(&metadata.ConfigRecord{Resource: of, Name: "retention.ms", Value: &v})
	}
	want := func(a, b time.Duration) {
		t.Helper()
		if got := w.find("a", 1, 1).Settings().RetentionTime; got != a {
			t.Errorf("a keeps for %v, want %v", got, a)
		}
		if got := w.find("b", 2, 0).Settings().RetentionTime; got != b {
			t.Errorf("b keeps for %v, want %v", got, b)
		}
	}
	want(-1, -1)
	set(metadata.Resource{Type: metadata.ResourceTopic, Name: "a"}, "5000")
	want(5*time.Second, -1)
	set(metadata.Resource{Type: metadata.ResourceBroker}, "9000")
	want(5*time.Second, 9*time.Second)
	w.fold(&metadata.PartitionRecord{TopicID: kafka.UUID{1}, First: 2, Runs: []metadata.PartitionRun{{Count: 1, Partition: here(1, 0)}}})
	if got := w.find("a", 1, 2).Settings().RetentionTime; got != 5*time.Second {
		t.Errorf("an added partition keeps for %v", got)
	}
}

// REP-3: a log that fails takes its partition offline and no other.
func TestFailureStaysWithItsLog(t *testing.T) {
	w := newWorld(t)
	w.fold(topic("a", 1, metadata.PartitionRun{Count: 2, Partition: here(1, 0)}))
	bad, good := w.find("a", 1, 0), w.find("a", 1, 1)
	write(t, bad, 1)
	write(t, good, 1)
	w.engine.Log(bad.ID()).Fail(storage.ErrOffline)
	_, err := bad.AppendAsLeader(partition.Append{Records: batch(t, 1)}, time.Now())
	wantCode(t, err, kafka.KafkaStorageError)
	write(t, good, 1)
	if c := w.Counts(); c.Offline != 1 {
		t.Errorf("%d partitions offline", c.Offline)
	}
}

// REP-4 as far as one node has it: see broker, which refuses fetches of brokers. REP-2 waits for followers.
func TestRestartFindsTheLogs(t *testing.T) {
	w := newWorld(t)
	w.fold(topic("a", 1, metadata.PartitionRun{Count: 2, Partition: here(1, 0)}))
	write(t, w.find("a", 1, 0), 1)
	if err := w.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.start()
	p := w.find("a", 1, 0)
	if p.InUse() {
		t.Error("a log was opened before its use")
	}
	found, err := p.FindOffset(partition.OffsetQuery{At: partition.AtLatest, CurrentEpoch: kafka.NoEpoch})
	if err != nil || found.Offset != 1 {
		t.Errorf("latest %+v, %v", found, err)
	}
	if strings.Contains(w.logged.String(), "belong to no topic") {
		t.Error(w.logged.String())
	}
	w.img = metadata.Empty()
	w.start()
	if !strings.Contains(w.logged.String(), "belong to no topic") || w.engine.Log(p.ID()) == nil {
		t.Error("logs without metadata were not reported, or removed: ", w.logged.String())
	}
}

// Retention and snapshots come by themselves, also where nobody writes any more, also before the first use after a restart; nothing
// is opened for it that has no data; and it all ends with Close.
func TestBackgroundWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fold(topic("a", 1, metadata.PartitionRun{Count: 2, Partition: here(1, 0)}), topic("b", 2, metadata.PartitionRun{Count: 100, Partition: here(1, 0)}))
		w.Start()
		p := w.find("a", 1, 0)
		for range 70 {
			write(t, p, 1<<20)
		}
		time.Sleep(2 * time.Second)
		if puts := w.engine.Log(p.ID()).Puts.Load(); puts != 2 {
			t.Errorf("%d blobs written after 70 MiB", puts)
		}
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		hour := "3600000"
		w.fold(&metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: "a"}, Name: "retention.ms", Value: &hour})
		w.start()
		w.Start()
		time.Sleep(59 * time.Minute)
		p = w.find("a", 1, 0)
		if got := p.LogStart(); got != 0 {
			t.Errorf("too early, log start %d", got)
		}
		time.Sleep(3 * time.Minute)
		if got := p.LogStart(); got != 70 {
			t.Errorf("log start %d after retention.ms", got)
		}
		if w.find("a", 1, 1).InUse() || w.find("b", 2, 0).InUse() {
			t.Error("a log without data was opened")
		}
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		_, err := p.AppendAsLeader(partition.Append{Records: batch(t, 1)}, time.Now())
		wantCode(t, err, kafka.NotLeaderOrFollower)
	})
}

func TestEngineThatCannotListIsAnError(t *testing.T) {
	if _, err := New(Options{Engine: brokenEngine{}}); !errors.Is(err, storage.ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

type brokenEngine struct{ storage.Engine }

func (brokenEngine) List() ([]storage.ID, error) { return nil, storage.ErrDamaged }
