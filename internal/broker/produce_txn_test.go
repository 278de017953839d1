package broker

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// knownTxns is a coordinator that says yes, unless told otherwise.
type knownTxns struct {
	answer func(tp kafka.TopicPartition) error // nil: yes
	asked  [][]kafka.TopicPartition
	verify []bool
	wait   bool // until ctx ends
}

func (k *knownTxns) AddPartitions(ctx context.Context, id string, _ kafka.ProducerID, _ kafka.ProducerEpoch, partitions []kafka.TopicPartition, verifyOnly bool) []error {
	k.asked, k.verify = append(k.asked, slices.Clone(partitions)), append(k.verify, verifyOnly)
	if k.wait {
		<-ctx.Done()
	}
	errs := make([]error, len(partitions))
	for i, tp := range partitions {
		if k.answer != nil {
			errs[i] = k.answer(tp)
		}
		if k.wait {
			errs[i] = ctx.Err()
		}
	}
	return errs
}

func newTxnWorld(t testing.TB) (*world, *knownTxns) {
	w, k := newWorld(t), &knownTxns{}
	w.opts.Transactions = k
	w.topic("a", 1, 3)
	return w, k
}

func txnBatch(pid kafka.ProducerID, epoch kafka.ProducerEpoch, first kafka.Sequence, n int) record.Batches {
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = pid, epoch, first, true
	recs := make([]record.Record, n)
	for i := range recs {
		recs[i] = record.Record{Value: []byte("v"), Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(time.Now().UnixMilli())}
	}
	b, err := record.Build(nil, o, recs)
	if err != nil {
		panic(err)
	}
	return b
}

// produceTxn appends in a transaction and gives the codes.
func (w *world) produceTxn(support TransactionSupport, at ...ProducePartition) (codes []kafka.ErrorCode) {
	req := produceRequest(-1, at...)
	req.TransactionalID, req.Transactions = "t", support
	for _, r := range w.Produce(anybody, req).Wait(context.Background()) {
		codes = append(codes, kafka.CodeOf(r.Err))
	}
	return codes
}

func (w *world) mark(topic string, i int32, m partition.Marker) {
	w.Helper()
	p, err := w.named(topic, i)
	if err != nil {
		w.Fatal(err)
	}
	if err := p.AppendMarker(m, time.Now()); err != nil {
		w.Fatal(err)
	}
}

// KIP-890: the coordinator is asked once for all partitions of a request whose transaction has not begun there, and not again; writing adds
// them for who speaks version 2.
func TestFirstBatchesOfATransactionAreVerified(t *testing.T) {
	w, k := newTxnWorld(t)
	at := func(i int32, first kafka.Sequence) ProducePartition {
		return ProducePartition{Topic: "a", Partition: i, Records: txnBatch(1, 0, first, 1)}
	}
	plain := ProducePartition{Topic: "a", Partition: 2, Records: plainBatch(1, 1)}
	if codes := w.produceTxn(TransactionsVerified, at(0, 0), plain, at(1, 0), at(9, 0)); !slices.Equal(codes, []kafka.ErrorCode{0, 0, 0, kafka.UnknownTopicOrPartition}) {
		t.Error(codes)
	}
	if codes := w.produceTxn(TransactionsImplicit, at(0, 1), at(2, 0)); !slices.Equal(codes, []kafka.ErrorCode{0, 0}) {
		t.Error(codes)
	}
	w.produceTxn(TransactionsVerified, at(0, 2), at(1, 1))
	w.mark("a", 0, partition.Marker{Producer: 1, Commit: true})
	w.produceTxn(TransactionsAbortable, at(0, 3))
	tp := func(i int32) kafka.TopicPartition { return kafka.TopicPartition{Topic: "a", Partition: i} }
	want := [][]kafka.TopicPartition{{tp(0), tp(1)}, {tp(2)}, {tp(0)}}
	if !slices.EqualFunc(k.asked, want, slices.Equal[[]kafka.TopicPartition]) || !slices.Equal(k.verify, []bool{true, false, true}) {
		t.Errorf("asked %v, to verify only %v", k.asked, k.verify)
	}
	w.opts.TrustTransactions = func() bool { return true }
	w.mark("a", 0, partition.Marker{Producer: 1, Commit: true})
	if codes := w.produceTxn(TransactionsVerified, at(0, 4)); codes[0] != kafka.None || len(k.asked) != 3 {
		t.Errorf("with verification off: %v, asked %d times", codes, len(k.asked))
	}
	w.mark("a", 0, partition.Marker{Producer: 1, Commit: true})
	if codes := w.produceTxn(TransactionsImplicit, at(0, 5)); codes[0] != kafka.None || len(k.asked) != 4 {
		t.Errorf("with verification off and partitions to add: %v, asked %d times", codes, len(k.asked))
	}
}

// What the coordinator says is said in the words of each version; the other partitions of the request are appended (BRK-1).
func TestProduceTellsWhatTheCoordinatorSays(t *testing.T) {
	for _, c := range []struct {
		says kafka.ErrorCode
		want [3]kafka.ErrorCode // to TransactionsVerified, TransactionsAbortable, TransactionsImplicit
	}{
		{kafka.InvalidTxnState, [3]kafka.ErrorCode{kafka.InvalidTxnState, kafka.InvalidTxnState, kafka.InvalidTxnState}},
		{kafka.TransactionAbortable, [3]kafka.ErrorCode{kafka.InvalidTxnState, kafka.TransactionAbortable, kafka.TransactionAbortable}},
		{kafka.ProducerFenced, [3]kafka.ErrorCode{kafka.InvalidProducerEpoch, kafka.InvalidProducerEpoch, kafka.InvalidProducerEpoch}},
		{kafka.InvalidProducerEpoch, [3]kafka.ErrorCode{kafka.InvalidProducerEpoch, kafka.InvalidProducerEpoch, kafka.InvalidProducerEpoch}},
		{kafka.InvalidProducerIDMapping, [3]kafka.ErrorCode{kafka.InvalidProducerIDMapping, kafka.InvalidProducerIDMapping, kafka.InvalidProducerIDMapping}},
		{kafka.NotCoordinator, [3]kafka.ErrorCode{kafka.NotEnoughReplicas, kafka.NotEnoughReplicas, kafka.NotEnoughReplicas}},
		{kafka.CoordinatorLoadInProgress, [3]kafka.ErrorCode{kafka.NotEnoughReplicas, kafka.NotEnoughReplicas, kafka.NotEnoughReplicas}},
		{kafka.ConcurrentTransactions, [3]kafka.ErrorCode{kafka.NotEnoughReplicas, kafka.NotEnoughReplicas, kafka.ConcurrentTransactions}},
	} {
		for support, want := range c.want {
			synctest.Test(t, func(t *testing.T) {
				w, k := newTxnWorld(t)
				k.answer = func(tp kafka.TopicPartition) error {
					if tp.Partition == 1 {
						return c.says
					}
					return nil
				}
				codes := w.produceTxn(TransactionSupport(support),
					ProducePartition{Topic: "a", Partition: 0, Records: txnBatch(1, 0, 0, 1)}, ProducePartition{Topic: "a", Partition: 1, Records: txnBatch(1, 0, 0, 1)})
				if !slices.Equal(codes, []kafka.ErrorCode{kafka.None, want}) {
					t.Errorf("the coordinator says %v: version %d is told %v, want %v", c.says, support, codes, want)
				}
			})
		}
	}
}

// The first batch of the next transaction waits for the end of the last one, a short while.
func TestNextTransactionWaitsForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newTxnWorld(t)
		batch := func(epoch kafka.ProducerEpoch) ProducePartition {
			return ProducePartition{Topic: "a", Records: txnBatch(1, epoch, 0, 1)}
		}
		w.produceTxn(TransactionsImplicit, batch(0))
		// The coordinator lets the next one begin while the marker is on its way to the partition.
		time.AfterFunc(10*time.Millisecond, func() { w.mark("a", 0, partition.Marker{Producer: 1, Epoch: 1, Commit: true, Version: 2}) })
		if codes := w.produceTxn(TransactionsImplicit, batch(1)); codes[0] != kafka.None {
			t.Error(codes)
		}
		// The coordinator itself has not ended it, and then has.
		w.mark("a", 0, partition.Marker{Producer: 1, Epoch: 2, Commit: true, Version: 2})
		ready := time.Now().Add(20 * time.Millisecond)
		k.answer = func(kafka.TopicPartition) error {
			if time.Now().Before(ready) {
				return kafka.ConcurrentTransactions
			}
			return nil
		}
		if codes := w.produceTxn(TransactionsImplicit, batch(2)); codes[0] != kafka.None {
			t.Error(codes)
		}
		// It never does.
		begin := time.Now()
		if codes := w.produceTxn(TransactionsImplicit, batch(3)); codes[0] != kafka.ConcurrentTransactions || time.Since(begin) != concurrentPatience {
			t.Errorf("%v after %v", codes, time.Since(begin))
		}
		// It does not answer at all: the request's own time is the limit.
		k.wait = true
		begin = time.Now()
		if codes := w.produceTxn(TransactionsImplicit, ProducePartition{Topic: "a", Partition: 1, Records: txnBatch(1, 3, 0, 1)}); codes[0] != kafka.NotEnoughReplicas || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", codes, time.Since(begin))
		}
	})
}

// What cannot be verified is not appended; what is beside it in the request is.
func TestTransactionsThatCannotBeVerified(t *testing.T) {
	w, k := newTxnWorld(t)
	mine := ProducePartition{Topic: "a", Records: txnBatch(1, 0, 0, 1)}
	other := ProducePartition{Topic: "a", Partition: 1, Records: txnBatch(2, 0, 0, 1)}
	plain := ProducePartition{Topic: "a", Partition: 2, Records: plainBatch(1, 1)}
	if codes := w.produceTxn(TransactionsVerified, mine, other, plain); !slices.Equal(codes, []kafka.ErrorCode{kafka.InvalidProducerIDMapping, kafka.InvalidProducerIDMapping, 0}) {
		t.Error(codes)
	}
	wantCode(t, w.produce(-1, mine)[0].Err, kafka.TransactionalIDAuthorizationFailed)
	short := ProducePartition{Topic: "a", Partition: 1, Records: mine.Records[:70]}
	if codes := w.produceTxn(TransactionsVerified, short); codes[0] != kafka.InvalidRecord {
		t.Error(codes)
	}
	nobody := ProducePartition{Topic: "a", Partition: 1, Records: txnBatch(kafka.NoProducer, -1, -1, 1)}
	if codes := w.produceTxn(TransactionsVerified, nobody); codes[0] != kafka.InvalidRecord {
		t.Error(codes)
	}
	w.opts.Transactions = nil
	if codes := w.produceTxn(TransactionsVerified, mine, plain); !slices.Equal(codes, []kafka.ErrorCode{kafka.InvalidTxnState, 0}) {
		t.Error(codes)
	}
	if len(k.asked) != 1 || len(k.asked[0]) != 1 || k.asked[0][0].Partition != 1 {
		t.Errorf("asked about %v", k.asked)
	}
}

// PAR-4 over the verb: who reads committed records is told the aborted ones, waits for markers, and finds the last stable offset.
func TestFetchOfCommittedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := newTxnWorld(t)
		fetch := func(wait time.Duration, at kafka.Offset) FetchResult {
			req := fetchRequest(wait, 1, from("a", 0, at))
			req.Isolation = ReadCommitted
			return w.fetch(req)[0]
		}
		w.produceTxn(TransactionsVerified, ProducePartition{Topic: "a", Records: txnBatch(1, 0, 0, 2)})
		w.produce(-1, ProducePartition{Topic: "a", Records: plainBatch(1, 1)})
		begin := time.Now()
		time.AfterFunc(time.Second, func() { w.mark("a", 0, partition.Marker{Producer: 1}) })
		r := fetch(time.Minute, 0)
		if r.Err != nil || time.Since(begin) != time.Second || got(r) == 0 || !slices.Equal(r.Aborted, []AbortedTxn{{Producer: 1, First: 0}}) || r.LastStable != 4 || r.HighWatermark != 4 {
			t.Errorf("%+v after %v", r, time.Since(begin))
		}
		r.Records.Release()
		w.produceTxn(TransactionsVerified, ProducePartition{Topic: "a", Records: txnBatch(1, 0, 2, 2)})
		if r = fetch(0, 4); got(r) != 0 || r.LastStable != 4 || r.HighWatermark != 6 || r.Aborted != nil {
			t.Errorf("%+v", r)
		}
		for iso, want := range map[Isolation]kafka.Offset{ReadCommitted: 4, ReadUncommitted: 6} {
			found := w.ListOffsets(t.Context(), anybody, kafka.NoBroker, iso, []ListOffsetsPartition{{Topic: "a", LeaderEpoch: kafka.NoEpoch, Timestamp: -1}})[0]
			if found.Err != nil || found.Offset != want {
				t.Errorf("latest in isolation %d: %+v, want %d", iso, found, want)
			}
		}
	})
}

// A late marker of the producer's last transaction, between the question and the append, makes the guard void: the coordinator is asked again, and
// the batch is appended. If the transaction itself was aborted meanwhile, the coordinator says so (T8).
func TestVoidGuardIsAskedForAgain(t *testing.T) {
	for _, aborted := range []bool{false, true} {
		w, k := newTxnWorld(t)
		k.answer = func(kafka.TopicPartition) error {
			if len(k.asked) == 1 {
				w.mark("a", 0, partition.Marker{Producer: 1, Epoch: 0, Commit: true})
				return nil
			}
			if aborted {
				return kafka.InvalidProducerEpoch
			}
			return nil
		}
		want := []kafka.ErrorCode{kafka.None}
		if aborted {
			want[0] = kafka.InvalidProducerEpoch
		}
		if codes := w.produceTxn(TransactionsImplicit, ProducePartition{Topic: "a", Partition: 0, Records: txnBatch(1, 1, 0, 1)}); !slices.Equal(codes, want) || len(k.asked) != 2 {
			t.Errorf("aborted %v: %v after %d questions", aborted, codes, len(k.asked))
		}
	}
}
