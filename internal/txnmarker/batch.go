package txnmarker

import (
	"context"
	"errors"
	"sync"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// write writes a batch on one broker, tells the coordinator of the transactions that need nothing more, and delays what failed.
func (s *Sender) write(broker kafka.BrokerID, batch []*part) {
	markers := make([]Marker, len(batch))
	for i, p := range batch {
		m := &p.job.m
		markers[i] = Marker{Producer: m.Producer, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Commit, Version: m.Version, Partitions: p.partitions}
	}
	var w Writer
	if broker != kafka.NoBroker {
		w = s.opts.Writer(broker)
	}
	var results [][]error
	if w != nil {
		results = w.Write(s.ctx, markers)
	}
	if s.ctx.Err() != nil {
		return
	}
	var written []*job
	for i, p := range batch {
		var errs []error
		if results != nil {
			errs = results[i]
		}
		if s.settle(p, errs) {
			written = append(written, p.job)
		}
	}
	s.complete(written)
}

// settle takes in what became of a part, and reports whether its job is written. errs is nil if the broker could not be reached.
func (s *Sender) settle(p *part, errs []error) (written bool) {
	var failed []kafka.TopicPartition
	var why error
	fenced := false
	for i, tp := range p.partitions {
		err := error(kafka.BrokerNotAvailable)
		if errs != nil {
			err = errs[i]
		}
		switch {
		case err == nil:
		case errors.Is(err, kafka.TransactionCoordinatorFenced):
			fenced, why = true, err
		case errors.Is(err, kafka.InvalidProducerEpoch):
			// The partition has seen a newer epoch, which is only given out after an older transaction's end: there is nothing to end.
			s.opts.Logger.Error("a partition refuses the marker of a transaction as too old; taken as written",
				"transactional_id", p.job.m.ID, "producer", p.job.m.Producer.ID, "epoch", p.job.m.Producer.Epoch, "partition", tp, "err", err)
		default:
			failed, why = append(failed, tp), err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.jobs[p.job.m.ID] != p.job:
		return false
	case fenced:
		s.opts.Logger.Warn("another coordinator has taken a transaction over; its markers are left to that one", "transactional_id", p.job.m.ID, "err", why)
		delete(s.jobs, p.job.m.ID)
		return false
	}
	p.job.left -= len(p.partitions) - len(failed)
	if len(failed) > 0 {
		s.delayLocked(&part{job: p.job, partitions: failed, attempts: p.attempts + 1}, why)
	}
	return p.job.left == 0
}

// complete tells the coordinator that transactions are written, in one operation for each of its partitions.
func (s *Sender) complete(jobs []*job) {
	byPartition := map[int32][]*job{}
	for _, j := range jobs {
		byPartition[j.partition] = append(byPartition[j.partition], j)
	}
	var all sync.WaitGroup
	for partition, jobs := range byPartition {
		if len(byPartition) == 1 {
			s.tell(partition, jobs)
			return
		}
		all.Go(func() { s.tell(partition, jobs) })
	}
	all.Wait()
}

func (s *Sender) tell(partition int32, jobs []*job) {
	done := make([]Written, len(jobs))
	for i, j := range jobs {
		done[i] = Written{ID: j.m.ID, Producer: j.m.Producer}
	}
	err := s.opts.Coordinator.MarkersWritten(s.ctx, partition, done)
	if s.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range jobs {
		if s.jobs[j.m.ID] != j {
			continue
		}
		if err == nil || isElsewhere(err) {
			delete(s.jobs, j.m.ID)
			continue
		}
		j.attempts++
		s.delayLocked(&part{job: j, attempts: j.attempts}, err)
	}
}

// Written is a transaction whose markers are all committed.
type Written struct {
	ID       string
	Producer coordinator.Producer
}

// Coordinator is the transaction coordinator of this node.
type Coordinator interface {
	// MarkersWritten completes transactions of one partition of __transaction_state, and returns when that is committed. Errors:
	// NotCoordinator, CoordinatorLoadInProgress: the markers will come again from whoever is it then; any other: it must be told again.
	MarkersWritten(ctx context.Context, partition int32, done []Written) error
	// Coordinates reports whether this node leads that partition and has loaded it.
	Coordinates(partition int32) bool
}

// isElsewhere: this node is not the coordinator, or will find the transaction when it has loaded.
func isElsewhere(err error) bool {
	return errors.Is(err, kafka.NotCoordinator) || errors.Is(err, kafka.CoordinatorLoadInProgress)
}
