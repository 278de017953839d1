package broker

import (
	"context"
	"errors"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// BRK-2: the other data verbs know nothing of doors, and each partition of theirs succeeds or fails on its own (BRK-1).
func TestListOffsets(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	w.fill("a", 0, 3, 10)
	ask := func(ctx context.Context, at ...ListOffsetsPartition) []ListOffsetsResult {
		return w.ListOffsets(ctx, anybody, kafka.NoBroker, ReadCommitted, at)
	}
	r := ask(context.Background(),
		ListOffsetsPartition{Topic: "a", Timestamp: -1, LeaderEpoch: kafka.NoEpoch}, ListOffsetsPartition{Topic: "a", Timestamp: -2, LeaderEpoch: 0},
		ListOffsetsPartition{Topic: "a", Timestamp: 1 << 60, LeaderEpoch: kafka.NoEpoch}, ListOffsetsPartition{Topic: "x", Timestamp: -1}, ListOffsetsPartition{Topic: "a", Timestamp: -1, LeaderEpoch: 3})
	want := []ListOffsetsResult{{nil, -1, 3, 0}, {nil, -1, 0, 0}, {nil, -1, -1, -1}, {kafka.UnknownTopicOrPartition, -1, -1, -1}, {kafka.UnknownLeaderEpoch, -1, -1, -1}}
	for i := range r {
		wantCode(t, r[i].Err, kafka.CodeOf(want[i].Err))
		r[i].Err, want[i].Err = nil, nil
		if r[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, r[i], want[i])
		}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	wantCode(t, ask(gone, ListOffsetsPartition{Topic: "a"})[0].Err, kafka.RequestTimedOut)
}

func TestOffsetForLeaderEpoch(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	w.fill("a", 0, 3, 10)
	r := w.OffsetForLeaderEpoch(anybody, kafka.NoBroker, []EpochQuery{{Topic: "a", CurrentEpoch: 0, Epoch: 0}, {Topic: "a", CurrentEpoch: kafka.NoEpoch, Epoch: 5}, {Topic: "x"}})
	if r[0].EpochEnd != (EpochEnd{Epoch: 0, End: 3}) || r[1].EpochEnd != (EpochEnd{Epoch: -1, End: -1}) || r[2].EpochEnd != (EpochEnd{Epoch: -1, End: -1}) {
		t.Errorf("%+v", r)
	}
	wantCode(t, r[2].Err, kafka.UnknownTopicOrPartition)
}

func TestDeleteRecords(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 2)
	w.fill("a", 0, 3, 10)
	r := w.DeleteRecords(context.Background(), anybody, []TrimPartition{{Topic: "a", Before: 2}, {Topic: "a", Before: 4}, {Topic: "x"}, {Topic: "a", Partition: 1, Before: -1}})
	for i, want := range []TrimResult{{nil, 2}, {kafka.OffsetOutOfRange, -1}, {kafka.UnknownTopicOrPartition, -1}, {nil, 0}} {
		wantCode(t, r[i].Err, kafka.CodeOf(want.Err))
		if r[i].LowWatermark != want.LowWatermark {
			t.Errorf("%d: %+v", i, r[i])
		}
	}
	if f := w.fetch(fetchRequest(0, 1, from("a", 0, 2)))[0]; f.LogStart != 2 || f.Err != nil {
		t.Errorf("%+v", f)
	}
}

func TestInitProducerID(t *testing.T) {
	w := newWorld(t)
	fresh := InitProducerIDRequest{ProducerID: kafka.NoProducer, Epoch: -1}
	for want := range kafka.ProducerID(8) {
		id, epoch, err := w.InitProducerID(context.Background(), anybody, fresh)
		if err != nil || id != want || epoch != 0 {
			t.Fatalf("id %d epoch %d, %v, want %d", id, epoch, err, want)
		}
	}
	if id, epoch, err := w.InitProducerID(context.Background(), anybody, InitProducerIDRequest{ProducerID: 3, Epoch: 7}); err != nil || id != 8 || epoch != 0 {
		t.Errorf("a producer that has an id gets %d %d, %v", id, epoch, err)
	}
	name, none := "txn", ""
	for _, c := range []struct {
		req  InitProducerIDRequest
		code kafka.ErrorCode
	}{
		{InitProducerIDRequest{ProducerID: 3, Epoch: -1}, kafka.InvalidRequest}, {InitProducerIDRequest{ProducerID: -1, Epoch: 0}, kafka.InvalidRequest},
		{InitProducerIDRequest{TransactionalID: &none, ProducerID: -1, Epoch: -1}, kafka.InvalidRequest},
		{InitProducerIDRequest{TransactionalID: &name, ProducerID: -1, Epoch: -1}, kafka.CoordinatorNotAvailable},
	} {
		_, _, err := w.InitProducerID(context.Background(), anybody, c.req)
		wantCode(t, err, c.code)
	}
	gone, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("client has gone"))
	_, _, err := w.InitProducerID(gone, anybody, fresh)
	wantCode(t, err, kafka.CoordinatorLoadInProgress)
	if id, _, err := w.InitProducerID(context.Background(), anybody, fresh); err != nil || id != 9 {
		t.Errorf("after that %d, %v", id, err)
	}
}

func TestDescribeProducers(t *testing.T) {
	w := newWorld(t)
	w.topic("a", 1, 1)
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = 7, 2, 40
	raw, err := record.Build(nil, o, []record.Record{{Timestamp: 99}, {Timestamp: 77, Offset: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.produce(1, ProducePartition{Topic: "a", Records: raw}); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	p, err := w.DescribeProducers(anybody, kafka.TopicPartition{Topic: "a"})
	if want := (ProducerState{ID: 7, Epoch: 2, LastSequence: 41, LastTimestamp: 99, Coordinator: -1, TxnStart: -1}); err != nil || len(p) != 1 || p[0] != want {
		t.Errorf("%+v, %v", p, err)
	}
	_, err = w.DescribeProducers(anybody, kafka.TopicPartition{Topic: "x"})
	wantCode(t, err, kafka.UnknownTopicOrPartition)
}

func TestDescribeLogDirs(t *testing.T) {
	w := newWorld(t)
	w.topic("b", 2, 1)
	w.topic("a", 1, 2)
	w.fill("a", 1, 1, 100)
	d := w.DescribeLogDirs(anybody, nil)
	if len(d) != 1 || d[0].Err != nil || d[0].Total != -1 || d[0].Free != -1 || len(d[0].Logs) != 3 {
		t.Fatalf("%+v", d)
	}
	if l := d[0].Logs; l[0].String() != "a-0" || l[0].Size != 0 || l[1].String() != "a-1" || l[1].Size < 100 || l[2].String() != "b-0" {
		t.Errorf("%+v", l)
	}
	if d = w.DescribeLogDirs(anybody, func(tp kafka.TopicPartition) bool { return tp.Topic == "b" }); len(d[0].Logs) != 1 {
		t.Errorf("%+v", d)
	}
}
