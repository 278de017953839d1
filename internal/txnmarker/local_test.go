package txnmarker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/partition/partitiontest"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/storage"
)

// node is a Local over partitions in memory that become durable when the test says so.
type node struct {
	Local
	engine *partitiontest.Engine

	mu    sync.Mutex
	ended []string
	err   error
}

func newNode(t *testing.T) *node {
	n := &node{engine: partitiontest.New()}
	n.engine.Hold = true
	m, err := replica.New(replica.Options{
		NodeID: 1, Engine: n.engine, RetentionInterval: time.Hour, CheckpointInterval: time.Hour, Logger: slog.New(slog.DiscardHandler),
		Settings: func(*metadata.Image, string) *partition.Settings { return &partition.Settings{MinISR: 1} },
	})
	if err != nil {
		t.Fatal(err)
	}
	img, delta, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.TopicRecord{ID: kafka.UUID{1}, Name: "t", Partitions: []metadata.PartitionRun{
		{Count: 2, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, ISR: []kafka.BrokerID{1}, Leader: 1}},
		{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{2}, ISR: []kafka.BrokerID{2}, Leader: 2}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Apply(img, delta)
	n.Local = Local{Replicas: m, Groups: n, Now: time.Now}
	return n
}

// EndTxn implements Groups.
func (n *node) EndTxn(_ context.Context, partition int32, p coordinator.Producer, epoch int32, _ int16, commit bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, fmt.Sprintf("%d: %d/%d by %d commit=%v", partition, p.ID, p.Epoch, epoch, commit))
	return n.err
}

func (n *node) log(i int32) *partitiontest.Log {
	return n.engine.Log(storage.ID{TopicPartition: kafka.TopicPartition{Topic: "t", Partition: i}, TopicID: kafka.UUID{1}})
}

func codes(errs []error) string {
	var list []kafka.ErrorCode
	for _, err := range errs {
		list = append(list, kafka.CodeOf(err))
	}
	return fmt.Sprint(list)
}

func TestLocalWritesWhatItLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		markers := []Marker{
			{Producer: coordinator.Producer{ID: 7, Epoch: 2}, CoordinatorEpoch: 3, Commit: true, Version: 2, Partitions: []kafka.TopicPartition{
				{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}, {Topic: "t", Partition: 2}, {Topic: "t", Partition: 3}, {Topic: "no"}, {Topic: offsetsTopic, Partition: 4},
			}},
			{Producer: coordinator.Producer{ID: 8, Epoch: 0}, CoordinatorEpoch: 3, Partitions: []kafka.TopicPartition{{Topic: "t", Partition: 1}}},
		}
		done := make(chan [][]error, 1)
		go func() { done <- n.Write(t.Context(), markers) }()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("it returned before the markers were durable")
		default:
		}
		n.log(0).Settle(1)
		n.log(1).Settle(2)
		results := <-done
		if got, want := codes(results[0]), "[NONE NONE NOT_LEADER_OR_FOLLOWER UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_OR_PARTITION NONE]"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got := codes(results[1]); got != "[NONE]" {
			t.Error(got)
		}
		if got := fmt.Sprint(n.ended); got != "[4: 7/2 by 3 commit=true]" {
			t.Error(got)
		}
	})
}

func TestLocalTellsWhatTheGroupsAndTheDiskSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		for _, c := range []struct{ err, want error }{
			{nil, nil}, {kafka.NotCoordinator, kafka.NotLeaderOrFollower}, {kafka.CoordinatorLoadInProgress, kafka.NotLeaderOrFollower},
			{kafka.CoordinatorNotAvailable, kafka.NotLeaderOrFollower}, {kafka.InvalidProducerEpoch, kafka.InvalidProducerEpoch},
		} {
			n.err = c.err
			got := n.Write(t.Context(), []Marker{{Partitions: []kafka.TopicPartition{{Topic: offsetsTopic}}}})
			if kafka.CodeOf(got[0][0]) != kafka.CodeOf(c.want) {
				t.Errorf("%v becomes %v, want %v", c.err, got[0][0], c.want)
			}
		}
		n.Groups = nil
		if got := n.Write(t.Context(), []Marker{{Partitions: []kafka.TopicPartition{{Topic: offsetsTopic}}}}); kafka.CodeOf(got[0][0]) != kafka.NotLeaderOrFollower {
			t.Errorf("without groups: %v", got)
		}
		at0 := []Marker{{Producer: coordinator.Producer{ID: 7, Epoch: 2}, Partitions: []kafka.TopicPartition{{Topic: "t"}}}}
		done := make(chan [][]error, 1)
		go func() { done <- n.Write(t.Context(), at0) }()
		synctest.Wait()
		n.log(0).Fail(errors.New("the disk is broken"))
		if got := <-done; kafka.CodeOf(got[0][0]) != kafka.KafkaStorageError {
			t.Errorf("after a failed fsync: %v", got)
		}
	})
}

func TestLocalGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := n.Write(ctx, []Marker{{Producer: coordinator.Producer{ID: 7, Epoch: 2}, Partitions: []kafka.TopicPartition{{Topic: "t"}, {Topic: "t", Partition: 1}}}})
		for _, err := range got[0] {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
	})
}
