package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// admission is what came out for one partition of a request before anything is appended.
type admission struct {
	guard partition.TxnGuard
	err   error
}

// How long a batch waits for the end of its producer's last transaction, and how long until it is asked again, as in Kafka
// (add.partitions.to.txn.retry.backoff.max.ms); here markers are written within a few milliseconds, so it is asked sooner.
const (
	concurrentPatience = 100 * time.Millisecond
	concurrentPause    = 2 * time.Millisecond
)

var (
	errNoTransactions    = kafka.Errorf(kafka.InvalidTxnState, "this broker has no transaction coordinator: produce without transactional.id")
	errNoTransactionalID = kafka.Errorf(kafka.TransactionalIDAuthorizationFailed, "a batch is part of a transaction, but the request names no transactional.id")
	errManyProducers     = kafka.Errorf(kafka.InvalidProducerIDMapping, "a produce request has batches of transactions of more than one producer")
)

// hasTransactions reports whether a batch of the request is part of a transaction. It looks at one byte of each.
func hasTransactions(req *ProduceRequest) bool {
	for i := range req.Partitions {
		if inTransaction(req.Partitions[i].Records) {
			return true
		}
	}
	return false
}

// inTransaction reads the bit of a batch that may not be one; who appends it checks that.
func inTransaction(b record.Batches) bool {
	const attributes, transactional = 22, 0x10
	return len(b) >= record.HeaderSize && b[attributes]&transactional != 0
}

// admitTransactions asks the coordinator, once for the whole request, about the batches that begin a transaction in their partition. A
// guard is taken before the question, so that an abort between the answer and the append is noticed (T8).
//
// Per partition: TransactionalIDAuthorizationFailed without a transactional id, InvalidProducerIDMapping for several producers; InvalidTxnState
// or, if the client knows it, TransactionAbortable when the transaction has not the partition; InvalidProducerEpoch; NotEnoughReplicas,
// which clients of all ages retry, when the coordinator cannot answer, and for older clients when the last transaction is still being
// ended (ConcurrentTransactions for the others).
func (b *Broker) admitTransactions(req *ProduceRequest, a *produceAwait, now time.Time) {
	a.admitted = slices.Grow(a.admitted[:0], len(req.Partitions))[:len(req.Partitions)]
	clear(a.admitted)
	ask := admitting{transactions: b.opts.Transactions, trust: b.trustsTransactions(), req: req, find: lookup{replicas: b.opts.Replicas}, admitted: a.admitted, now: kafka.Timestamp(now.UnixMilli())}
	if err := ask.producers(); err != nil {
		for i := range req.Partitions {
			if inTransaction(req.Partitions[i].Records) {
				a.admitted[i].err = err
			}
		}
		return
	}
	ask.wait(req.Timeout)
}

// admitAgain is admitTransactions for a batch whose guard was void when it was to be appended: a marker of the producer came between, be it the
// late one of its last transaction, which is no reason to refuse the batch, or one that aborted this transaction, which the coordinator
// then knows.
func (b *Broker) admitAgain(req *ProduceRequest, a *produceAwait, i int32, now time.Time) admission {
	a.admitted[i] = admission{}
	ask := admitting{transactions: b.opts.Transactions, trust: b.trustsTransactions(), req: req, find: lookup{replicas: b.opts.Replicas}, admitted: a.admitted, now: kafka.Timestamp(now.UnixMilli())}
	if err := ask.producers(); err != nil {
		return admission{err: err}
	}
	ask.wait(req.Timeout)
	return a.admitted[i]
}

// wait asks until nothing waits for the end of the producer's last transaction any more, but not for long.
func (q *admitting) wait(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), max(timeout, 0))
	defer cancel()
	if q.all(ctx); !q.concurrent() {
		return
	}
	ctx, cancel = context.WithTimeout(ctx, concurrentPatience)
	defer cancel()
	pause := time.NewTicker(concurrentPause)
	defer pause.Stop()
	for q.concurrent() {
		select {
		case <-pause.C:
			q.all(ctx)
		case <-ctx.Done():
			q.giveUp()
			return
		}
	}
}

// trustsTransactions reports whether transactions need not be verified now.
func (b *Broker) trustsTransactions() bool {
	return b.opts.TrustTransactions != nil && b.opts.TrustTransactions()
}

// admitting is the question about one request.
type admitting struct {
	transactions Transactions
	trust        bool
	req          *ProduceRequest
	find         lookup
	admitted     []admission
	now          kafka.Timestamp
	producer     kafka.ProducerID
	epoch        kafka.ProducerEpoch
}

// producers finds the one producer of the request's transactions.
func (q *admitting) producers() error {
	switch {
	case q.transactions == nil:
		return errNoTransactions
	case q.req.TransactionalID == "":
		return errNoTransactionalID
	}
	q.producer = kafka.NoProducer
	for i := range q.req.Partitions {
		records := q.req.Partitions[i].Records
		if !inTransaction(records) {
			continue
		}
		h, _ := record.ParseHeader(records)
		if h.ProducerID < 0 {
			continue // appending it says what is wrong
		}
		if q.producer != kafka.NoProducer && (h.ProducerID != q.producer || h.ProducerEpoch != q.epoch) {
			return errManyProducers
		}
		q.producer, q.epoch = h.ProducerID, h.ProducerEpoch
	}
	return nil
}

// all asks about every batch that has no guard yet and was not refused for good.
func (q *admitting) all(ctx context.Context) {
	var asked []int
	var partitions []kafka.TopicPartition
	implicit := q.req.Transactions >= TransactionsImplicit
	for i := range q.req.Partitions {
		at, to := &q.req.Partitions[i], &q.admitted[i]
		if to.err == nil && to.guard != (partition.TxnGuard{}) || to.err != nil && !isConcurrent(to.err) || !inTransaction(at.Records) {
			continue
		}
		t, p, err := q.find.find(at.Topic, at.TopicID, at.Partition)
		if err != nil {
			to.err = nil // appendOne says it
			continue
		}
		h, _ := record.ParseHeader(at.Records)
		if h.ProducerID < 0 || h.ProducerEpoch < 0 || h.BaseSequence < 0 {
			continue
		}
		guard, needed, err := p.GuardTxn(h.ProducerID, h.ProducerEpoch, h.BaseSequence, implicit, q.now)
		to.guard, to.err = guard, err
		if err == nil && needed && (implicit || !q.trust) {
			asked, partitions = append(asked, i), append(partitions, kafka.TopicPartition{Topic: t.Name, Partition: at.Partition})
		}
	}
	if len(asked) == 0 {
		return
	}
	errs := q.transactions.AddPartitions(ctx, q.req.TransactionalID, q.producer, q.epoch, partitions, !implicit)
	for n, i := range asked {
		to := &q.admitted[i]
		switch {
		case n >= len(errs):
			to.err = kafka.Errorf(kafka.NotEnoughReplicas, "the transaction coordinator did not answer for the partition: retry")
		case errs[n] != nil && isConcurrent(errs[n]):
			to.err = errs[n] // and is asked again
		case errs[n] != nil:
			to.err = admissionError(q.req, errs[n])
		}
	}
}

func isConcurrent(err error) bool { return kafka.CodeOf(err) == kafka.ConcurrentTransactions }

// concurrent reports whether a batch waits for the end of the last transaction.
func (q *admitting) concurrent() bool {
	for i := range q.admitted {
		if err := q.admitted[i].err; err != nil && isConcurrent(err) {
			return true
		}
	}
	return false
}

func (q *admitting) giveUp() {
	for i := range q.admitted {
		if err := q.admitted[i].err; err != nil {
			q.admitted[i].err = admissionError(q.req, err)
		}
	}
}

// admissionError says a coordinator's error, or a partition's, in a way that the producer's version handles as it should.
func admissionError(req *ProduceRequest, err error) error {
	code := kafka.CodeOf(err)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		code = kafka.RequestTimedOut
	}
	switch code {
	case kafka.ProducerFenced:
		return kafka.Errorf(kafka.InvalidProducerEpoch, "%w", err)
	case kafka.TransactionAbortable:
		if req.Transactions < TransactionsAbortable {
			return kafka.Errorf(kafka.InvalidTxnState, "%w", err)
		}
	case kafka.ConcurrentTransactions:
		if req.Transactions < TransactionsImplicit {
			return kafka.Errorf(kafka.NotEnoughReplicas, "the producer's last transaction is still being ended: %w", err)
		}
	case kafka.CoordinatorLoadInProgress, kafka.CoordinatorNotAvailable, kafka.NotCoordinator, kafka.NetworkException, kafka.RequestTimedOut:
		return kafka.Errorf(kafka.NotEnoughReplicas, "the transaction coordinator could not be asked: %w", err)
	}
	return err
}
