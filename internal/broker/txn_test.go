package broker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
	"github.com/rafka-io/rafka/internal/txnmarker"
)

// committedLog is a coordinator's log in which everything is committed at once.
type committedLog struct {
	mu  sync.Mutex
	end map[int32]kafka.Offset
	fns map[int32]func(kafka.Offset)
}

func (l *committedLog) Append(partition int32, _ kafka.LeaderEpoch, batch []byte, _ time.Time) (kafka.Offset, error) {
	h, ok := record.ParseHeader(batch)
	if !ok {
		return 0, kafka.CorruptMessage
	}
	l.mu.Lock()
	l.end[partition] += kafka.Offset(h.Records)
	end, fn := l.end[partition], l.fns[partition]
	l.mu.Unlock()
	if fn != nil {
		go fn(end)
	}
	return end, nil
}

func (l *committedLog) Leads(int32, kafka.LeaderEpoch) error { return nil }

func (l *committedLog) OnHighWatermark(partition int32, fn func(kafka.Offset)) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fns[partition] = fn
	end := l.end[partition]
	go fn(end)
	return func() {}, nil
}

func (l *committedLog) Load(int32, kafka.LeaderEpoch, func([]byte) error) (kafka.Offset, error) {
	return 0, nil
}

// newCoordinatedWorld is a broker that coordinates transactions, with the topic orders of two partitions.
func newCoordinatedWorld(t *testing.T) *world {
	w := newWorld(t)
	w.topic(txn.Topic, 200, 3)
	w.topic("orders", 1, 2)
	local := &txnmarker.Local{Replicas: w.replicas, Now: time.Now}
	var sender *txnmarker.Sender
	image := func() *metadata.Image { return w.img }
	shards := coordinator.New(coordinator.Options[*txn.Shard]{
		Topic: txn.Topic, NodeID: 1, Image: image, Log: &committedLog{end: map[int32]kafka.Offset{}, fns: map[int32]func(kafka.Offset){}}, Logger: slog.New(slog.DiscardHandler),
		OnEffect: func(partition int32, e any) { sender.OnEffect(partition, e) },
		NewShard: func(reg *timeline.Registry, _ int32) *txn.Shard {
			return txn.NewShard(reg, txn.Options{MaxTimeout: time.Hour, Expiration: time.Hour, ExpirationRun: time.Hour})
		},
	})
	sender = txnmarker.New(txnmarker.Options{
		Coordinator: txnmarker.RuntimeOf(shards), Image: image, Logger: slog.New(slog.DiscardHandler),
		Writer: func(kafka.BrokerID) txnmarker.Writer { return local },
	})
	sender.Start()
	t.Cleanup(sender.Close)
	t.Cleanup(shards.Close)
	shards.Apply(w.img, &metadata.Delta{})
	for i := range int32(3) {
		if err := shards.Ready(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	w.Broker.opts.Txns, w.Broker.opts.Markers, w.Broker.opts.Transactions = shards, local, TransactionsOf(shards)
	return w
}

func (w *world) producer(id string) (kafka.ProducerID, kafka.ProducerEpoch) {
	w.Helper()
	p, epoch, err := w.InitProducerID(context.Background(), anybody, InitProducerIDRequest{Version: 5, TransactionalID: &id, Timeout: time.Minute, ProducerID: -1, Epoch: -1})
	if err != nil {
		w.Fatal(err)
	}
	return p, epoch
}

func addRequest(version int16, id string, p kafka.ProducerID, epoch kafka.ProducerEpoch, verify bool, partitions ...int32) *kmsg.AddPartitionsToTxnRequest {
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.Version = version
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = id, int64(p), int16(epoch), verify
	topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
	topic.Topic, topic.Partitions = "orders", partitions
	t.Topics = append(t.Topics, topic)
	q.Transactions = append(q.Transactions, t)
	return q
}

func addCodes(a *kmsg.AddPartitionsToTxnResponse) string {
	var codes []kafka.ErrorCode
	for _, p := range a.Transactions[0].Topics[0].Partitions {
		codes = append(codes, kafka.ErrorCode(p.ErrorCode))
	}
	return fmt.Sprint(codes)
}

func TestTransactionFromBeginningToEnd(t *testing.T) {
	w, ctx := newCoordinatedWorld(t), t.Context()
	p, epoch := w.producer("app")
	for _, c := range []struct {
		name string
		req  *kmsg.AddPartitionsToTxnRequest
		want string
	}{
		{"not in it yet", addRequest(5, "app", p, epoch, true, 0), "[TRANSACTION_ABORTABLE]"},
		{"one does not exist", addRequest(3, "app", p, epoch, false, 0, 9), "[OPERATION_NOT_ATTEMPTED UNKNOWN_TOPIC_OR_PARTITION]"},
		{"another id", addRequest(3, "who", p, epoch, false, 0), "[INVALID_PRODUCER_ID_MAPPING]"},
		{"another epoch", addRequest(3, "app", p, epoch+1, false, 0), "[PRODUCER_FENCED]"},
		{"another epoch of an old client", addRequest(1, "app", p, epoch+1, false, 0), "[INVALID_PRODUCER_EPOCH]"},
		{"added", addRequest(3, "app", p, epoch, false, 0, 1), "[NONE NONE]"},
		{"in it now", addRequest(5, "app", p, epoch, true, 0, 1), "[NONE NONE]"},
	} {
		if got := addCodes(w.AddPartitionsToTxn(ctx, anybody, c.req)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{"app", "who"}
	d := w.DescribeTransactions(ctx, anybody, describe).TransactionStates
	if d[0].State != "Ongoing" || d[0].ProducerID != int64(p) || len(d[0].Topics) != 1 || kafka.ErrorCode(d[1].ErrorCode) != kafka.TransactionalIDNotFound {
		t.Errorf("%+v", d)
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.Version, end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = 5, "app", int64(p), int16(epoch), true
	a := w.EndTxn(ctx, anybody, end)
	if a.ErrorCode != 0 || a.ProducerEpoch != int16(epoch)+1 {
		t.Fatalf("%+v", a)
	}
	// The next one waits for the markers by itself, so that nothing has to be asked twice.
	if got := addCodes(w.AddPartitionsToTxn(ctx, anybody, addRequest(5, "app", p, epoch+1, false, 1))); got != "[NONE]" {
		t.Errorf("the next transaction: %s", got)
	}
	state, err := w.DescribeProducers(anybody, kafka.TopicPartition{Topic: "orders", Partition: 0})
	if err != nil || len(state) != 1 || state[0].Epoch != epoch+1 {
		t.Errorf("the marker is not there: %+v, %v", state, err)
	}
	list := kmsg.NewPtrListTransactionsRequest()
	list.StateFilters = []string{"Ongoing", "Nonsense"}
	l := w.ListTransactions(ctx, anybody, list)
	if len(l.TransactionStates) != 1 || l.TransactionStates[0].TransactionalID != "app" || fmt.Sprint(l.UnknownStateFilters) != "[Nonsense]" {
		t.Errorf("%+v", l)
	}
}

// T7
func TestNewInstanceFencesTheOlderOne(t *testing.T) {
	w, ctx := newCoordinatedWorld(t), t.Context()
	p, epoch := w.producer("app")
	if errs := w.opts.Transactions.AddPartitions(ctx, "app", p, epoch, []kafka.TopicPartition{{Topic: "orders"}}, false); errs[0] != nil {
		t.Fatal(errs)
	}
	q, next := w.producer("app")
	if q != p || next <= epoch {
		t.Fatalf("%d/%d follows %d/%d", q, next, p, epoch)
	}
	if errs := w.opts.Transactions.AddPartitions(ctx, "app", p, epoch, []kafka.TopicPartition{{Topic: "orders"}}, false); kafka.CodeOf(errs[0]) != kafka.ProducerFenced {
		t.Error(errs)
	}
	id := "app"
	for version, want := range map[int16]kafka.ErrorCode{3: kafka.InvalidProducerEpoch, 4: kafka.ProducerFenced} {
		_, _, err := w.InitProducerID(ctx, anybody, InitProducerIDRequest{Version: version, TransactionalID: &id, Timeout: time.Minute, ProducerID: p, Epoch: epoch})
		wantCode(t, err, want)
	}
	_, _, err := w.InitProducerID(ctx, anybody, InitProducerIDRequest{Version: 5, TransactionalID: &id, Timeout: 2 * time.Hour, ProducerID: -1, Epoch: -1})
	wantCode(t, err, kafka.InvalidTransactionTimeout)
}

func TestOperatorsEndTransactions(t *testing.T) {
	w := newCoordinatedWorld(t)
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch = 77, 3, -1
	topic := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	topic.Topic, topic.Partitions = "orders", []int32{0, 8}
	m.Topics = append(m.Topics, topic)
	q.Markers = append(q.Markers, m)
	a := w.WriteTxnMarkers(t.Context(), anybody, q)
	got := a.Markers[0].Topics[0].Partitions
	if a.Markers[0].ProducerID != 77 || got[0].ErrorCode != 0 || kafka.ErrorCode(got[1].ErrorCode) != kafka.UnknownTopicOrPartition {
		t.Errorf("%+v", a)
	}
}

func TestWithoutCoordinatorVerbsSayItIsNotAvailable(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.topic("orders", 1, 1)
	if got := addCodes(w.AddPartitionsToTxn(ctx, anybody, addRequest(3, "app", 1, 0, false, 0))); got != "[COORDINATOR_NOT_AVAILABLE]" {
		t.Error(got)
	}
	if got := addCodes(w.AddPartitionsToTxn(ctx, anybody, addRequest(4, "app", 1, 0, true, 0))); got != "[COORDINATOR_NOT_AVAILABLE]" {
		t.Error(got)
	}
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{"app"}
	for name, code := range map[string]int16{
		"EndTxn":               w.EndTxn(ctx, anybody, kmsg.NewPtrEndTxnRequest()).ErrorCode,
		"ListTransactions":     w.ListTransactions(ctx, anybody, kmsg.NewPtrListTransactionsRequest()).ErrorCode,
		"DescribeTransactions": w.DescribeTransactions(ctx, anybody, describe).TransactionStates[0].ErrorCode,
		"AddOffsetsToTxn":      w.AddOffsetsToTxn(ctx, anybody, kmsg.NewPtrAddOffsetsToTxnRequest()).ErrorCode,
	} {
		if kafka.ErrorCode(code) != kafka.CoordinatorNotAvailable {
			t.Errorf("%s: %v", name, kafka.ErrorCode(code))
		}
	}
}
