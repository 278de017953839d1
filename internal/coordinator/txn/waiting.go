package txn

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
)

// Requests that meet a decided transaction whose markers are not yet written are kept here and go on in the operation that completes it:
// Kafka answers CONCURRENT_TRANSACTIONS, upon which clients sleep for 20 to 100 ms. At the limits ours get that answer too.
const (
	maxWait       = 5 * time.Second
	maxWaitersOf  = 16     // one transactional id
	maxAllWaiters = 10_000 // of one shard
)

// waiter is a request that waits. Since is when it came, which a request that must wait twice keeps.
type waiter struct {
	since  time.Time
	retry  func(op *coordinator.Op, since time.Time)
	refuse func(op *coordinator.Op)
}

func waitKey(id string) string { return "wait/" + id }

// wait keeps a request until the transaction of id is complete, or refuses it at a limit.
func (s *Shard) wait(op *coordinator.Op, id string, w waiter) {
	if w.since.IsZero() {
		w.since = op.Now
	}
	all, _ := s.waiting.Get(id)
	left := w.since.Add(maxWait).Sub(op.Now)
	if left <= 0 || len(all) >= maxWaitersOf || s.waiters.Get() >= maxAllWaiters {
		w.refuse(op)
		return
	}
	if len(all) == 0 {
		op.Schedule(waitKey(id), min(left, maxWait), func(op *coordinator.Op) { s.waitedTooLong(op, id) })
	}
	s.setWaiters(id, append(all[:len(all):len(all)], w))
}

// resume lets the requests that wait for id try again, in the order in which they came.
func (s *Shard) resume(op *coordinator.Op, id string) {
	all, ok := s.waiting.Get(id)
	if !ok {
		return
	}
	op.Cancel(waitKey(id))
	s.setWaiters(id, nil)
	for _, w := range all {
		w.retry(op, w.since)
	}
}

// waitedTooLong refuses those whose time is up.
func (s *Shard) waitedTooLong(op *coordinator.Op, id string) {
	all, _ := s.waiting.Get(id)
	var late, rest []waiter
	for _, w := range all {
		if op.Now.Before(w.since.Add(maxWait)) {
			rest = append(rest, w)
		} else {
			late = append(late, w)
		}
	}
	s.setWaiters(id, rest)
	if len(rest) > 0 {
		left := maxWait
		for _, w := range rest {
			left = min(left, w.since.Add(maxWait).Sub(op.Now))
		}
		op.Schedule(waitKey(id), left, func(op *coordinator.Op) { s.waitedTooLong(op, id) })
	}
	for _, w := range late {
		w.refuse(op)
	}
}

func (s *Shard) setWaiters(id string, all []waiter) {
	before, _ := s.waiting.Get(id)
	s.waiters.Set(s.waiters.Get() + len(all) - len(before))
	if len(all) == 0 {
		s.waiting.Delete(id)
	} else {
		s.waiting.Set(id, all)
	}
}
