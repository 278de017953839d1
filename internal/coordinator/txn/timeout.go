package txn

import (
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

func timeoutKey(id string) string { return "timeout/" + id }

// scheduleTimeout sets the timer of an open transaction. The wall clock counts only for what a load finds, and never for more than the
// time-out: a clock that jumps neither aborts a transaction nor keeps it open.
func (s *Shard) scheduleTimeout(op *coordinator.Op, id string, t *Transaction) {
	left := min(max(t.deadline().Sub(op.Now), 0), t.timeout())
	p, started := t.owner(), t.Started
	op.Schedule(timeoutKey(id), left, func(op *coordinator.Op) { s.timedOut(op, id, p, started) })
}

// timedOut aborts a transaction that is still open, and shuts its producer out (TXN-6).
func (s *Shard) timedOut(op *coordinator.Op, id string, p coordinator.Producer, started kafka.Timestamp) {
	t, ok := s.find(id)
	if !ok || t.State != Ongoing || t.owner() != p || t.Started != started {
		return
	}
	op.Note(id, fmt.Sprintf("the transaction of producer %d, epoch %d is aborted: it was open for longer than its time-out of %v", p.ID, p.Epoch, t.timeout()))
	s.abortFenced(op, id, t)
}

// abortFenced aborts an open transaction and raises the epoch twice: to one that nobody has, so that its producer is fenced, and again as
// every end of a transaction does with version 2. At the end of the epochs it stays, and the next InitProducerId gives a new producer id.
func (s *Shard) abortFenced(op *coordinator.Op, id string, t *Transaction) bool {
	fenced := t.fenced(op.Now)
	next := fenced.decided(false, Version2, kafka.NoProducer, op.Now)
	if !s.move(op, id, t, fenced, next) {
		return false
	}
	s.afterDecision(op, id, next)
	return true
}

// expirePerRun bounds the tombstones of one operation.
const expirePerRun = 10_000

const expireKey = "expire"

// expireSoon is when a run that met its bound goes on.
const expireSoon = time.Second

func (s *Shard) scheduleExpiration(op *coordinator.Op, after time.Duration) {
	op.Schedule(expireKey, after, s.expire)
}

// expire forgets transactional ids that have been idle for long.
func (s *Shard) expire(op *coordinator.Op) {
	var idle []string
	before := kafka.Timestamp(op.Now.Add(-s.opts.Expiration).UnixMilli())
	for id, t := range s.txns.All() {
		if Dead.mayFollow(t.State) && t.Updated <= before {
			if idle = append(idle, id); len(idle) == expirePerRun {
				break
			}
		}
	}
	next := s.opts.ExpirationRun
	if len(idle) == expirePerRun {
		next = min(next, expireSoon)
	}
	s.scheduleExpiration(op, next)
	if len(idle) == 0 {
		return
	}
	op.Atomic(false)
	for _, id := range idle {
		op.Emit(Record{ID: id})
		op.Note(id, fmt.Sprintf("forgotten: not used for %v", s.opts.Expiration))
	}
}
