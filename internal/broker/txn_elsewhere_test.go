package broker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// coordinators are other brokers whose answers a test decides.
type coordinators struct {
	mu     sync.Mutex
	asked  []string // broker, version, and the transactions with V for verification
	answer func(ctx context.Context, to kafka.BrokerID, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error)
}

func (c *coordinators) Kafka(ctx context.Context, to kafka.BrokerID, q kmsg.Request) (kmsg.Response, error) {
	add := q.(*kmsg.AddPartitionsToTxnRequest)
	what := fmt.Sprintf("%d v%d", to, add.Version)
	for _, t := range add.Transactions {
		what += " " + t.TransactionalID
		if t.VerifyOnly {
			what += "V"
		}
	}
	c.mu.Lock()
	c.asked = append(c.asked, what)
	c.mu.Unlock()
	return c.answer(ctx, to, add)
}

func (c *coordinators) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := strings.Join(c.asked, "; ")
	c.asked = nil
	return asked
}

// sameCode answers everything with one code.
func sameCode(q *kmsg.AddPartitionsToTxnRequest, code kafka.ErrorCode) *kmsg.AddPartitionsToTxnResponse {
	a := kmsg.NewPtrAddPartitionsToTxnResponse()
	for i := range q.Transactions {
		t := &q.Transactions[i]
		n := 0
		for _, topic := range t.Topics {
			n += len(topic.Partitions)
		}
		a.Transactions = append(a.Transactions, addAnswer(t, repeated(code, n)))
	}
	return a
}

// newElsewhere is the Transactions of broker 1 in a cluster in which broker 2 coordinates everything; leader changes that.
func newElsewhere(t *testing.T, c *coordinators) (x *ClusterTransactions, lead func(kafka.BrokerID)) {
	var mu sync.Mutex
	img := metadata.Empty()
	lead = func(leader kafka.BrokerID) {
		next, _, err := metadata.Fold(metadata.Empty(), []metadata.Record{&metadata.TopicRecord{Name: txn.Topic, ID: kafka.UUID{9}, Partitions: []metadata.PartitionRun{{
			Count: 3, Partition: metadata.Partition{Replicas: []kafka.BrokerID{1, 2}, ISR: []kafka.BrokerID{1, 2}, Leader: leader},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		img = next
	}
	image := func() *metadata.Image {
		mu.Lock()
		defer mu.Unlock()
		return img
	}
	shards := coordinator.New(coordinator.Options[*txn.Shard]{
		Topic: txn.Topic, NodeID: 1, Image: image, Log: &committedLog{end: map[int32]kafka.Offset{}, fns: map[int32]func(kafka.Offset){}},
		NewShard: func(reg *timeline.Registry, _ int32) *txn.Shard { return txn.NewShard(reg, txn.Options{}) },
	})
	t.Cleanup(shards.Close)
	x = NewTransactions(TransactionsOptions{NodeID: 1, Shards: shards, Image: image, Peers: c})
	t.Cleanup(x.Close)
	return x, lead
}

var threePartitions = []kafka.TopicPartition{{Topic: "a", Partition: 1}, {Topic: "b", Partition: 0}, {Topic: "a", Partition: 2}}

func TestTransactionsElsewhereAreAskedWhereTheyAreCoordinated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinators{answer: func(_ context.Context, _ kafka.BrokerID, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
			a := sameCode(q, kafka.None)
			for i := range a.Transactions[0].Topics {
				if topic := &a.Transactions[0].Topics[i]; topic.Topic == "b" {
					topic.Partitions[0].ErrorCode = int16(kafka.TransactionAbortable)
				}
			}
			return a, nil
		}}
		x, lead := newElsewhere(t, c)
		ask := func(verify bool) string {
			var codes []kafka.ErrorCode
			for _, err := range x.AddPartitions(t.Context(), "app", 7, 1, threePartitions, verify) {
				codes = append(codes, kafka.CodeOf(err))
			}
			return fmt.Sprint(codes)
		}
		const nobody = "[COORDINATOR_NOT_AVAILABLE COORDINATOR_NOT_AVAILABLE COORDINATOR_NOT_AVAILABLE]"
		if got := ask(true); got != nobody {
			t.Errorf("without the topic: %s", got)
		}
		lead(kafka.NoBroker)
		if got := ask(true); got != nobody {
			t.Errorf("without a leader: %s", got)
		}
		lead(2)
		if got := ask(true); got != "[NONE TRANSACTION_ABORTABLE NONE]" || c.take() != "2 v5 appV" {
			t.Error(got)
		}
		if got := ask(false); got != "[NONE TRANSACTION_ABORTABLE NONE]" || c.take() != "2 v5 app" {
			t.Error(got)
		}
		lead(1) // this node: it is asked here, and is no coordinator in the eyes of its own runtime
		if got := ask(true); got != nobody || c.take() != "" {
			t.Error(got)
		}
	})
}

// Questions that come while others are under way go together, and whoever then meets the end of a last transaction is asked for alone.
func TestQuestionsAboutTransactionsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := &coordinators{}
		c.answer = func(_ context.Context, _ kafka.BrokerID, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
			<-gate
			if len(q.Transactions) > 1 {
				a := sameCode(q, kafka.None)
				for i := range a.Transactions {
					if a.Transactions[i].TransactionalID == "7" {
						a.Transactions[i].Topics[0].Partitions[0].ErrorCode = int16(kafka.ConcurrentTransactions)
					}
				}
				return a, nil
			}
			return sameCode(q, kafka.None), nil
		}
		x, lead := newElsewhere(t, c)
		lead(2)
		var asking sync.WaitGroup
		for i := range maxQuestionBatches + 10 {
			asking.Go(func() {
				if errs := x.AddPartitions(t.Context(), fmt.Sprint(i), 7, 1, threePartitions, i%2 == 0); errs[0] != nil || errs[1] != nil || errs[2] != nil {
					t.Errorf("%d: %v", i, errs)
				}
			})
			synctest.Wait()
		}
		if got := c.take(); got != "2 v5 0V; 2 v5 1; 2 v5 2V; 2 v5 3" {
			t.Errorf("asked at first %s", got)
		}
		close(gate)
		asking.Wait()
		if got := c.take(); got != "2 v5 4V 5 6V 7 8V 9 10V 11 12V 13; 2 v5 7" {
			t.Errorf("asked then %s", got)
		}
		synctest.Wait()
		if len(x.lines.lines) > 0 {
			t.Error("a line is remembered")
		}
	})
}

// Whoever asks is told in time, and retries: by then there may be another coordinator.
func TestTransactionsWhoseCoordinatorCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinators{}
		x, lead := newElsewhere(t, c)
		lead(2)
		for name, test := range map[string]struct {
			answer func(ctx context.Context, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error)
			want   kafka.ErrorCode
		}{
			"unreached": {func(context.Context, *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				return nil, kafka.BrokerNotAvailable
			}, kafka.CoordinatorNotAvailable},
			"nothing": {func(context.Context, *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) { return nil, nil }, kafka.CoordinatorNotAvailable},
			"too few": {func(context.Context, *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				return kmsg.NewPtrAddPartitionsToTxnResponse(), nil
			}, kafka.CoordinatorNotAvailable},
			"another transaction": {func(_ context.Context, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				a := sameCode(q, kafka.None)
				a.Transactions[0].TransactionalID = "who"
				return a, nil
			}, kafka.CoordinatorNotAvailable},
			"refused": {func(context.Context, *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				return &kmsg.AddPartitionsToTxnResponse{ErrorCode: int16(kafka.ClusterAuthorizationFailed)}, nil
			}, kafka.ClusterAuthorizationFailed},
			"moved": {func(_ context.Context, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				return sameCode(q, kafka.NotCoordinator), nil
			}, kafka.NotCoordinator},
			"silent": {func(ctx context.Context, _ *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}, kafka.CoordinatorNotAvailable},
		} {
			c.answer = func(ctx context.Context, _ kafka.BrokerID, q *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
				return test.answer(ctx, q)
			}
			for _, err := range x.AddPartitions(t.Context(), "app", 7, 1, threePartitions, true) {
				if kafka.CodeOf(err) != test.want {
					t.Errorf("%s: %v, want %v", name, err, test.want)
				}
			}
		}
		c.answer = func(ctx context.Context, _ kafka.BrokerID, _ *kmsg.AddPartitionsToTxnRequest) (kmsg.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if errs := x.AddPartitions(ctx, "app", 7, 1, threePartitions, true); kafka.CodeOf(errs[2]) != kafka.RequestTimedOut || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", errs, time.Since(begun))
		}
		go x.AddPartitions(t.Context(), "app", 7, 1, threePartitions, false)
		synctest.Wait()
		x.Close() // ends what is under way
		if errs := x.AddPartitions(t.Context(), "app", 7, 1, threePartitions, false); kafka.CodeOf(errs[0]) != kafka.CoordinatorNotAvailable {
			t.Error(errs)
		}
	})
}

// T7, T8: brokers are told of many transactions in one answer. None of them waits for the end of another's last transaction: it is told to ask again.
func TestManyTransactionsInOneRequest(t *testing.T) {
	w, ctx := newCoordinatedWorld(t), t.Context()
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.Version = 5
	for i := range 150 {
		id := fmt.Sprint("app", i)
		p, epoch := w.producer(id)
		q.Transactions = append(q.Transactions, addRequest(5, id, p, epoch, false, 0, 1).Transactions...)
	}
	q.Transactions = append(q.Transactions, addRequest(5, "who", 1, 0, false, 0).Transactions...)
	q.Transactions = append(q.Transactions, addRequest(5, "app0", 1, 0, false, 7).Transactions...)
	a := w.AddPartitionsToTxn(ctx, anybody, q)
	if len(a.Transactions) != len(q.Transactions) {
		t.Fatalf("%d answers", len(a.Transactions))
	}
	for i := range a.Transactions {
		want := kafka.None
		switch i {
		case 150:
			want = kafka.InvalidProducerIDMapping
		case 151:
			want = kafka.UnknownTopicOrPartition
		}
		if got := kafka.ErrorCode(a.Transactions[i].Topics[0].Partitions[0].ErrorCode); got != want || a.Transactions[i].TransactionalID != q.Transactions[i].TransactionalID {
			t.Errorf("%s: %v, want %v", a.Transactions[i].TransactionalID, got, want)
		}
	}
	for i := range q.Transactions[:150] {
		q.Transactions[i].VerifyOnly = true
	}
	for i, got := range w.AddPartitionsToTxn(ctx, anybody, q).Transactions[:150] {
		if got.Topics[0].Partitions[1].ErrorCode != 0 {
			t.Errorf("transaction %d has not what was added", i)
		}
	}
}
