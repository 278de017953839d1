package broker

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Limits of the questions to one coordinator: requests under way, and transactions of one. What comes meanwhile waits in line, as much as
// there are produce requests under way.
const (
	maxQuestionBatches = 4
	maxQuestions       = 200
)

// questionLines are the questions about transactions that other brokers coordinate, one line for each.
type questionLines struct {
	peers  Peers
	ctx    context.Context // of the requests; stop ends it
	stop   context.CancelFunc
	asking sync.WaitGroup

	mu     sync.Mutex // guards lines and closed; a leaf
	lines  map[kafka.BrokerID]*questionLine
	closed bool
}

type questionLine struct {
	waiting []*question
	batches int // under way
}

// question is about one transaction.
type question struct {
	transaction kmsg.AddPartitionsToTxnRequestTransaction
	partitions  []kafka.TopicPartition

	answered chan struct{} // closed when errs and together are set
	errs     []error
	together bool // it was asked with others
}

func (l *questionLines) init(peers Peers) {
	l.peers, l.lines = peers, map[kafka.BrokerID]*questionLine{}
	l.ctx, l.stop = context.WithCancel(context.Background())
}

func (l *questionLines) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.asking.Wait()
}

// ask returns the answer about each partition, or why there is none when ctx ends.
func (l *questionLines) ask(ctx context.Context, broker kafka.BrokerID, q *question) []error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return repeatedError(errStopped, len(q.partitions))
	}
	line := l.lines[broker]
	if line == nil {
		line = &questionLine{}
		l.lines[broker] = line
	}
	line.waiting = append(line.waiting, q)
	l.startLocked(broker, line)
	l.mu.Unlock()
	return q.wait(ctx)
}

// askAlone is ask in a request of its own, for an answer that may take its time.
func (l *questionLines) askAlone(ctx context.Context, broker kafka.BrokerID, q *question) []error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return repeatedError(errStopped, len(q.partitions))
	}
	l.asking.Go(func() { l.request(broker, []*question{q}) })
	l.mu.Unlock()
	return q.wait(ctx)
}

// errStopped answers who asks while the broker stops.
var errStopped = kafka.Errorf(kafka.CoordinatorNotAvailable, "the broker is shutting down: refresh the metadata")

// wait lets the asker go with ctx. The question may be answered all the same, and what it adds be added.
func (q *question) wait(ctx context.Context) []error {
	select {
	case <-q.answered:
		return q.errs
	case <-ctx.Done():
		err := kafka.Errorf(kafka.RequestTimedOut, "the transaction's coordinator did not answer in time: %w", ctx.Err())
		return repeatedError(err, len(q.partitions))
	}
}

// startLocked starts requests for what waits, as many as may be.
func (l *questionLines) startLocked(broker kafka.BrokerID, line *questionLine) {
	for len(line.waiting) > 0 && line.batches < maxQuestionBatches {
		n := min(len(line.waiting), maxQuestions)
		batch := line.waiting[:n:n]
		if line.waiting = line.waiting[n:]; len(line.waiting) == 0 {
			line.waiting = nil
		}
		line.batches++
		l.asking.Go(func() {
			l.request(broker, batch)
			l.mu.Lock()
			defer l.mu.Unlock()
			line.batches--
			if l.startLocked(broker, line); line.batches == 0 {
				delete(l.lines, broker)
			}
		})
	}
}

// request asks one broker about some transactions and hands the answers out.
func (l *questionLines) request(broker kafka.BrokerID, batch []*question) {
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.Version = questionVersion
	for _, one := range batch {
		q.Transactions = append(q.Transactions, one.transaction)
	}
	ctx, cancel := context.WithTimeout(l.ctx, questionTimeout)
	defer cancel()
	resp, err := l.peers.Kafka(ctx, broker, q)
	a, ok := resp.(*kmsg.AddPartitionsToTxnResponse)
	switch {
	case err != nil:
		err = kafka.Errorf(kafka.CoordinatorNotAvailable, "broker %d, which coordinates the transaction, was not reached: %w", broker, err)
	case ok && a.ErrorCode != 0:
		err = kafka.ErrorCode(a.ErrorCode)
	case !ok || len(a.Transactions) != len(batch):
		err = kafka.Errorf(kafka.CoordinatorNotAvailable, "broker %d did not answer what it was asked about transactions", broker)
	}
	for i, one := range batch {
		one.together = len(batch) > 1
		if err != nil {
			one.errs = repeatedError(err, len(one.partitions))
		} else {
			one.errs = readQuestion(broker, one, &a.Transactions[i])
		}
		close(one.answered)
	}
}
