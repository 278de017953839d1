package txnmarker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Marker is the marker of one transaction for some partitions of one broker.
type Marker struct {
	Producer         coordinator.Producer
	CoordinatorEpoch int32
	Commit           bool
	Version          int16 // of the transaction: txn.Version1 or txn.Version2
	Partitions       []kafka.TopicPartition
}

// Writer writes markers on one broker.
type Writer interface {
	// Write writes all markers and waits until they are committed: an error or nil for each partition of each marker, in order. When ctx
	// ends, its error stands for what is not committed. It is called from several goroutines at a time.
	Write(ctx context.Context, markers []Marker) [][]error
}

// Options of a Sender. All are required but Logger and Now.
type Options struct {
	Coordinator Coordinator
	// Writer of a broker, at any time the same for the same broker; nil: it cannot be reached now.
	Writer func(kafka.BrokerID) Writer
	// Image is the metadata of this moment.
	Image  func() *metadata.Image
	Logger *slog.Logger     // [slog.Default()]
	Now    func() time.Time // [time.Now]
}

// Sender writes the markers of one node's coordinator.
type Sender struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // buffered by one
	ended  chan struct{} // run has ended
	work   sync.WaitGroup

	mu      sync.Mutex // guards what follows; a leaf
	jobs    map[string]*job
	queues  map[kafka.BrokerID]*queue
	delayed []*part

	retries atomic.Int64
}

// job is one decided transaction. Only mu's holder changes it.
type job struct {
	partition int32 // of __transaction_state
	m         txn.SendMarkers
	left      int // partitions whose marker is not committed
	attempts  int // at telling the coordinator
}

// part is what one broker has to do for a job.
type part struct {
	job        *job
	partitions []kafka.TopicPartition
	attempts   int
	due        time.Time // of a delayed one
}

// queue is what one broker has to do.
type queue struct {
	parts   []*part
	batches int // under way
}

// Limits of one broker: batches under way and partitions of one batch, though a transaction with more is not cut.
const (
	maxBatches    = 16
	maxPartitions = 5_000
)

// New returns a Sender that has nothing to do. Effects may come at once; Start begins with the work.
func New(o Options) *Sender {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sender{
		opts: o, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		jobs: map[string]*job{}, queues: map[kafka.BrokerID]*queue{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Start starts the goroutine.
func (s *Sender) Start() { go s.run() }

// Close ends what is under way and waits for it. What is not written then is sent again after the next load. It is called after Start.
func (s *Sender) Close() {
	s.cancel()
	<-s.ended
	s.work.Wait()
}

// OnEffect is coordinator.Options.OnEffect of the transactions' runtime: partition is that of __transaction_state. It does not block.
func (s *Sender) OnEffect(partition int32, e any) {
	m, ok := e.(txn.SendMarkers)
	if !ok {
		return
	}
	s.mu.Lock()
	if was := s.jobs[m.ID]; was == nil || was.m.Producer != m.Producer || was.m.CoordinatorEpoch != m.CoordinatorEpoch {
		j := &job{partition: partition, m: m, left: len(m.Partitions)}
		s.jobs[m.ID] = j // a job of an older decision or coordinator finds itself replaced and ends
		s.routeLocked(&part{job: j, partitions: m.Partitions})
	}
	s.mu.Unlock()
	s.signal()
}

// Stats is what there is to do.
type Stats struct {
	Pending int   // transactions that wait for markers
	Retries int64 // markers that were tried again, since the start
}

// Stats returns them.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Pending: len(s.jobs), Retries: s.retries.Load()}
}

func (s *Sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// routeLocked puts the partitions of p into the queues of their leaders. Those that exist no more are done; those without a leader wait.
// With no partition left the part still goes through a queue, so that its job ends in a batch.
func (s *Sender) routeLocked(p *part) {
	img := s.opts.Image()
	byLeader := map[kafka.BrokerID][]kafka.TopicPartition{}
	for _, tp := range p.partitions {
		if _, at, ok := img.Partition(tp); ok {
			byLeader[at.Leader] = append(byLeader[at.Leader], tp)
		} else {
			p.job.left--
		}
	}
	if len(byLeader) == 0 {
		byLeader[kafka.NoBroker] = nil
	}
	for leader, partitions := range byLeader {
		q := s.queues[leader]
		if q == nil {
			q = &queue{}
			s.queues[leader] = q
		}
		q.parts = append(q.parts, &part{job: p.job, partitions: partitions, attempts: p.attempts})
	}
}

// run starts batches and brings back what was delayed.
func (s *Sender) run() {
	defer close(s.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := s.dispatch()
		timer.Reset(next)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-s.ctx.Done():
			return
		}
	}
}

// dispatch starts all batches that may start, and returns when to look again at the latest.
func (s *Sender) dispatch() time.Duration {
	due, next := s.takeDue()
	s.revive(due)
	s.mu.Lock()
	defer s.mu.Unlock()
	for broker, q := range s.queues {
		for len(q.parts) > 0 && q.batches < maxBatches {
			batch := q.take()
			q.batches++
			s.work.Go(func() {
				s.write(broker, batch)
				s.mu.Lock()
				q.batches--
				s.mu.Unlock()
				s.signal()
			})
		}
		if len(q.parts) == 0 && q.batches == 0 {
			delete(s.queues, broker)
		}
	}
	return next
}

// take takes a batch off the queue.
func (q *queue) take() []*part {
	n, partitions := 0, 0
	for n < len(q.parts) && (n == 0 || partitions+len(q.parts[n].partitions) <= maxPartitions) {
		partitions += len(q.parts[n].partitions)
		n++
	}
	batch := q.parts[:n:n]
	if q.parts = q.parts[n:]; len(q.parts) == 0 {
		q.parts = nil
	}
	return batch
}
