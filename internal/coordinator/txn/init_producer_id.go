package txn

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// initRequest is an InitProducerId under way.
type initRequest struct {
	id      string
	version int16
	timeout int32
	// expected is the producer as it knows itself (KIP-360); nobody: it is a new instance, which fences the others.
	expected coordinator.Producer
	newID    kafka.ProducerID
	later    *coordinator.Reply[*kmsg.InitProducerIDResponse]
}

// InitProducerID gives the producer of a transactional id its producer id and epoch and fences older instances. A transaction that is
// open is aborted first; the answer waits for that. newID is a producer id that nobody has used; it is spent when the id is new or its
// epochs are used up, and lost otherwise. The transactional id of req is set.
//
// Answers: INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT; PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before v4) if req names a producer that
// another instance has followed; CONCURRENT_TRANSACTIONS after waiting long; COORDINATOR_NOT_AVAILABLE if there are too many ids.
func (s *Shard) InitProducerID(op *coordinator.Op, req *kmsg.InitProducerIDRequest, newID kafka.ProducerID, later *coordinator.Reply[*kmsg.InitProducerIDResponse]) {
	q := initRequest{version: req.Version, timeout: req.TransactionTimeoutMillis, expected: producer(req.ProducerID, req.ProducerEpoch), newID: newID, later: later}
	if req.TransactionalID != nil {
		q.id = *req.TransactionalID
	}
	switch {
	case q.id == "" || (q.expected.ID == kafka.NoProducer) != (q.expected.Epoch == noEpoch):
		q.refuse(op, kafka.InvalidRequest)
	case q.timeout <= 0 || time.Duration(q.timeout)*time.Millisecond > s.opts.MaxTimeout:
		q.refuse(op, kafka.InvalidTransactionTimeout)
	default:
		s.initProducerID(op, q, time.Time{})
	}
}

func (s *Shard) initProducerID(op *coordinator.Op, q initRequest, since time.Time) {
	t, ok := s.find(q.id)
	if !ok {
		s.initNew(op, q)
		return
	}
	isNewInstance := q.expected == nobody
	if !isNewInstance && q.expected != t.owner() && !t.isRepeatOf(q.expected) {
		q.refuse(op, kafka.ProducerFenced)
		return
	}
	if t.State.isIdle() {
		s.initKnown(op, q, t)
		return
	}
	if t.State == Ongoing {
		// Only the owner and a new instance come here: an instance that was fenced must not disturb the one that followed (TXN-5).
		if isNewInstance {
			op.Note(q.id, fmt.Sprintf("a new instance of the producer starts: the open transaction of producer %d, epoch %d is aborted", t.ProducerID, t.Epoch))
		}
		if !s.abortFenced(op, q.id, t) {
			q.refuse(op, kafka.UnknownServerError)
			return
		}
		q.expected = nobody // it was the owner until now, and whoever comes later waits behind it
		if t, _ = s.find(q.id); t.State.isIdle() {
			s.initKnown(op, q, t)
			return
		}
	}
	s.wait(op, q.id, waiter{
		since:  since,
		retry:  func(op *coordinator.Op, since time.Time) { s.initProducerID(op, q, since) },
		refuse: func(op *coordinator.Op) { q.refuse(op, kafka.ConcurrentTransactions) },
	})
}

// initNew is for an id that is not known, or no more: any producer may have it.
func (s *Shard) initNew(op *coordinator.Op, q initRequest) {
	if s.txns.Len() >= s.limit {
		op.Note(q.id, fmt.Sprintf("refused: this partition of %s has %d transactional ids, the most it keeps", Topic, s.limit))
		q.refuse(op, kafka.CoordinatorNotAvailable)
		return
	}
	t := &Transaction{ProducerID: q.newID, NextID: kafka.NoProducer, NextEpoch: noEpoch}
	s.answerInit(op, q, nil, t.initialized(coordinator.Producer{ID: q.newID, Epoch: 0}, noEpoch, q.timeout, op.Now))
}

// initKnown raises the epoch of an id that has no open transaction. The producer is a new instance, the owner or one that repeats itself.
func (s *Shard) initKnown(op *coordinator.Op, q initRequest, t *Transaction) {
	owner := t.owner()
	last := noEpoch
	switch {
	case q.expected == nobody:
	case q.expected == owner:
		last = t.Epoch // so that a repeat of this very request is known
	default:
		s.answerInit(op, q, t, t.initialized(owner, t.LastEpoch, q.timeout, op.Now)) // it is a repeat
		return
	}
	next := coordinator.Producer{ID: owner.ID, Epoch: owner.Epoch + 1}
	if t.isExhausted() {
		next = coordinator.Producer{ID: q.newID, Epoch: 0}
		op.Note(q.id, fmt.Sprintf("the epochs of producer %d are used up: it goes on as producer %d", owner.ID, q.newID))
	}
	s.answerInit(op, q, t, t.initialized(next, last, q.timeout, op.Now))
}

func (s *Shard) answerInit(op *coordinator.Op, q initRequest, before, t *Transaction) {
	if !s.move(op, q.id, before, t) {
		q.refuse(op, kafka.UnknownServerError)
		return
	}
	a := kmsg.NewPtrInitProducerIDResponse()
	a.ProducerID, a.ProducerEpoch = int64(t.ProducerID), int16(t.Epoch)
	q.later.Give(op, a)
}

func (q *initRequest) refuse(op *coordinator.Op, code kafka.ErrorCode) {
	a := kmsg.NewPtrInitProducerIDResponse()
	a.ProducerID, a.ProducerEpoch = int64(nobody.ID), int16(nobody.Epoch)
	a.ErrorCode = int16(fencedFor(code, q.version >= 4))
	q.later.Give(op, a)
}

// fencedFor is PRODUCER_FENCED as a client understands it: older ones have INVALID_PRODUCER_EPOCH only.
func fencedFor(code kafka.ErrorCode, understood bool) kafka.ErrorCode {
	if code == kafka.ProducerFenced && !understood {
		return kafka.InvalidProducerEpoch
	}
	return code
}
