package broker

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

// BRK-1: each partition of a request has its own answer, in the order of the request.
func TestProduceAnswersEachPartition(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 2)
	elsewhere := metadata.Partition{Replicas: []kafka.BrokerID{2}, ISR: []kafka.BrokerID{2}, Leader: 2, LeaderEpoch: 9}
	w.fold(&metadata.TopicRecord{Name: "b", ID: kafka.UUID{2}, Partitions: []metadata.PartitionRun{{Count: 1, Partition: elsewhere}}},
		&metadata.TopicRecord{Name: "__internal", ID: kafka.UUID{3}, Internal: true, Partitions: []metadata.PartitionRun{{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, Leader: 1}}}})
	damaged := plainBatch(1, 10)
	damaged[70]++
	results := w.produce(-1,
		ProducePartition{Topic: "a", Partition: 0, Records: plainBatch(3, 10)},
		ProducePartition{Topic: "a", Partition: 1, Records: damaged},
		ProducePartition{Topic: "a", Partition: 2, Records: plainBatch(1, 10)},
		ProducePartition{TopicID: kafka.UUID{1}, Partition: 0, Records: plainBatch(1, 10)},
		ProducePartition{TopicID: kafka.UUID{77}, Partition: 0, Records: plainBatch(1, 10)},
		ProducePartition{Topic: "b", Partition: 0, Records: plainBatch(1, 10)},
		ProducePartition{Topic: "__internal", Partition: 0, Records: plainBatch(1, 10)},
		ProducePartition{Topic: "nowhere", Partition: 0, Records: plainBatch(1, 10)},
		ProducePartition{Topic: "a", Partition: 1},
		ProducePartition{Topic: "a", Partition: 1, Records: plainBatch(2, 10)},
	)
	want := []struct {
		code kafka.ErrorCode
		base kafka.Offset
	}{
		{kafka.None, 0}, {kafka.CorruptMessage, -1}, {kafka.UnknownTopicOrPartition, -1}, {kafka.None, 3}, {kafka.UnknownTopicID, -1},
		{kafka.NotLeaderOrFollower, -1}, {kafka.InvalidTopicException, -1}, {kafka.UnknownTopicOrPartition, -1}, {kafka.InvalidRecord, -1}, {kafka.None, 0},
	}
	for i, r := range results {
		if kafka.CodeOf(r.Err) != want[i].code || r.BaseOffset != want[i].base {
			t.Errorf("partition %d: %+v, want %+v", i, r, want[i])
		}
		leader, epoch := kafka.NoBroker, kafka.NoEpoch
		if want[i].code == kafka.NotLeaderOrFollower {
			leader, epoch = 2, 9
		}
		if r.Leader != leader || r.LeaderEpoch != epoch || r.LogAppendTime != kafka.NoTimestamp {
			t.Errorf("partition %d: %+v", i, r)
		}
	}
	sum := w.replicas.Counts().Total
	if n, failed := sum.ProduceRequests.Load(), sum.FailedProduce.Load(); n != 8 || failed != 5 {
		t.Errorf("%d produce requests and %d failures counted", n, failed)
	}
}

func TestProduceToInternalTopicIsForAdmins(t *testing.T) {
	w := newWorld(t)
	w.fold(&metadata.TopicRecord{Name: "__internal", ID: kafka.UUID{3}, Internal: true, Partitions: []metadata.PartitionRun{{Count: 1, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1}, Leader: 1}}}})
	req := produceRequest(1, ProducePartition{Topic: "__internal", Records: plainBatch(1, 1)})
	if r := w.Produce(&Session{ClientID: adminClient}, req).Wait(context.Background()); r[0].Err != nil {
		t.Error(r[0].Err)
	}
}

func TestProduceChecksAcks(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	for _, acks := range []int16{-2, 2} {
		wantCode(t, w.produce(acks, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0].Err, kafka.InvalidRequiredAcks)
	}
	if r := w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)}); r[0].Err != nil || r[0].BaseOffset != 0 {
		t.Errorf("%+v: a refused batch was appended", r)
	}
}

// BRK-3: Produce returns before the batch is durable; Wait returns when it is, for acks=1 as for acks=all. acks=0 does not wait.
func TestProduceWaitsInWaitOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.engine.Hold = true
		w.topic("a", 1, 2)
		both := []ProducePartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 1}}
		for round, acks := range []int16{1, -1} {
			both[0].Records, both[1].Records = plainBatch(1, 1), plainBatch(1, 1)
			await := w.Produce(anybody, produceRequest(acks, both...))
			if await.(interface{ Ready() bool }).Ready() {
				t.Error("ready before it was durable")
			}
			answered := make(chan []ProduceResult, 1)
			go func() { answered <- await.Wait(context.Background()) }()
			for i := range int32(2) {
				synctest.Wait()
				if len(answered) > 0 {
					t.Fatal("answered before it was durable")
				}
				w.log("a", i).Settle(kafka.Offset(round + 1))
			}
			synctest.Wait()
			for _, r := range <-answered {
				if r.Err != nil || r.BaseOffset != kafka.Offset(round) {
					t.Errorf("%+v", r)
				}
			}
		}
		both[0].Records, both[1].Records = plainBatch(1, 1), plainBatch(1, 1)
		if r := w.produce(0, both...); r[1].Err != nil || r[1].BaseOffset != 2 {
			t.Errorf("acks=0: %+v", r)
		}
	})
}

// PAR-5: what is not durable in time is reported so, with its offset; the rest is not; and the next request is not mixed up with it.
func TestProduceTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.engine.Hold = true
		w.topic("a", 1, 2)
		at := func() []ProducePartition {
			return []ProducePartition{{Topic: "a", Partition: 0, Records: plainBatch(1, 1)}, {Topic: "a", Partition: 1, Records: plainBatch(1, 1)}, {Topic: "none", Records: plainBatch(1, 1)}}
		}
		await := w.Produce(anybody, produceRequest(-1, at()...))
		w.log("a", 1).Settle(1)
		begin := time.Now()
		r := await.Wait(context.Background())
		wantCode(t, r[0].Err, kafka.RequestTimedOut)
		wantCode(t, r[1].Err, kafka.None)
		wantCode(t, r[2].Err, kafka.UnknownTopicOrPartition)
		if took := time.Since(begin); took != time.Second || r[0].BaseOffset != 0 {
			t.Errorf("took %v, %+v", took, r[0])
		}
		ctx, cancel := context.WithCancel(context.Background())
		await = w.Produce(anybody, produceRequest(-1, at()...))
		cancel()
		wantCode(t, await.Wait(ctx)[1].Err, kafka.RequestTimedOut)

		await = w.Produce(anybody, produceRequest(-1, at()...)) // uses the same await
		w.log("a", 0).Settle(2)
		w.log("a", 1).Settle(3)
		r = await.Wait(context.Background())
		wantCode(t, r[0].Err, kafka.RequestTimedOut)
		wantCode(t, r[1].Err, kafka.None)
		if n := w.replicas.Counts().Total.FailedProduce.Load(); n != 4 {
			t.Errorf("%d failures counted", n)
		}
	})
}

func TestProduceIsToldOfDeletionAndFailure(t *testing.T) {
	w := newWorld(t)
	w.engine.Hold = true
	w.topic("a", 1, 2)
	await := w.Produce(anybody, produceRequest(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)}, ProducePartition{Topic: "a", Partition: 1, Records: plainBatch(1, 1)}))
	w.log("a", 1).Fail(storage.ErrOffline)
	w.fold(&metadata.RemoveTopicRecord{ID: kafka.UUID{1}})
	r := await.Wait(context.Background())
	wantCode(t, r[0].Err, kafka.UnknownTopicOrPartition)
	wantCode(t, r[1].Err, kafka.KafkaStorageError)
	if r[0].BaseOffset != kafka.NoOffset || !strings.Contains(kafka.MessageOf(r[0].Err), "deleted") {
		t.Errorf("%+v", r[0])
	}
}

func TestFullDiskIsRetriable(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})
	w.log("a", 0).Full = storage.ErrFull
	r := w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0]
	wantCode(t, r.Err, kafka.KafkaStorageError)
	if !kafka.CodeOf(r.Err).Retriable() || !strings.Contains(kafka.MessageOf(r.Err), "disk is full") {
		t.Error(r.Err)
	}
	if f := w.fetch(fetchRequest(0, 1, from("a", 0, 0))); f[0].Err != nil || got(f[0]) == 0 {
		t.Errorf("reading from a full disk: %+v", f[0])
	}
	w.log("a", 0).Full = nil
	if r := w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0]; r.Err != nil || r.BaseOffset != 1 {
		t.Errorf("with room again: %+v", r)
	}
}

func TestNotEnoughReplicas(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	p, err := w.named("a", 0)
	if err != nil {
		t.Fatal(err)
	}
	p.Configure(&partition.Settings{MinISR: 2})
	wantCode(t, w.produce(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0].Err, kafka.None) // there is only one replica
	p.SetRole(partition.Role{IsLeader: true, ISR: []kafka.BrokerID{1}, Replicas: []kafka.BrokerID{1, 2}})
	wantCode(t, w.produce(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0].Err, kafka.NotEnoughReplicas)
	wantCode(t, w.produce(1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})[0].Err, kafka.None)
}
