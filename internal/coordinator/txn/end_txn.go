package txn

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// NeedsNewID reports whether EndTxn of a producer at an epoch may spend a new producer id.
func NeedsNewID(req *kmsg.EndTxnRequest) bool {
	return isVersion2(req) && kafka.ProducerEpoch(req.ProducerEpoch) >= lastUsable
}

// isVersion2: Kafka's clients show by v5 that they let their epoch be raised.
func isVersion2(req *kmsg.EndTxnRequest) bool { return req.Version >= 5 }

// endRequest is an EndTxn under way.
type endRequest struct {
	id       string
	producer coordinator.Producer
	commit   bool
	version2 bool
	oldest   bool // the client does not know PRODUCER_FENCED
	newID    kafka.ProducerID
	later    *coordinator.Reply[*kmsg.EndTxnResponse]
}

// EndTransaction decides the open transaction of a producer. It is answered when the decision is committed; markers follow (TXN-2). From v5 on
// the answer has the producer id and epoch of the next transaction (KIP-890), and an abort without a transaction is one of nothing. newID
// is a producer id that nobody has used; NeedsNewID tells whether it may be needed.
//
// Answers: INVALID_REQUEST; INVALID_PRODUCER_ID_MAPPING if the transactional id is not known or belongs to another producer id;
// PRODUCER_FENCED (INVALID_PRODUCER_EPOCH before v2); INVALID_TXN_STATE if there is nothing to decide or it was decided otherwise
// (TXN-3); CONCURRENT_TRANSACTIONS after waiting long for the markers of the last transaction.
func (s *Shard) EndTransaction(op *coordinator.Op, req *kmsg.EndTxnRequest, newID kafka.ProducerID, later *coordinator.Reply[*kmsg.EndTxnResponse]) {
	q := endRequest{
		id: req.TransactionalID, producer: producer(req.ProducerID, req.ProducerEpoch), commit: req.Commit,
		version2: isVersion2(req), oldest: req.Version < 2, newID: newID, later: later,
	}
	if q.id == "" {
		q.answer(op, kafka.InvalidRequest, nobody)
		return
	}
	s.endTxn(op, q, time.Time{})
}

func (s *Shard) endTxn(op *coordinator.Op, q endRequest, since time.Time) {
	t, ok := s.find(q.id)
	if !ok {
		q.answer(op, kafka.InvalidProducerIDMapping, nobody)
		return
	}
	step, code := q.judge(t)
	switch step {
	case refuse:
		q.answer(op, code, nobody)
	case repeat:
		q.answer(op, kafka.None, t.owner())
	case await:
		s.wait(op, q.id, waiter{
			since:  since,
			retry:  func(op *coordinator.Op, since time.Time) { s.endTxn(op, q, since) },
			refuse: func(op *coordinator.Op) { q.answer(op, kafka.ConcurrentTransactions, nobody) },
		})
	case decide:
		s.decideFor(op, q, t)
	}
}

func (s *Shard) decideFor(op *coordinator.Op, q endRequest, t *Transaction) {
	version, nextID := Version1, kafka.NoProducer
	if q.version2 {
		if version = Version2; t.isExhausted() {
			nextID = q.newID
			op.Note(q.id, fmt.Sprintf("the epochs of producer %d are used up: it goes on as producer %d", t.ProducerID, nextID))
		}
	}
	next := t.decided(q.commit, version, nextID, op.Now)
	if !s.move(op, q.id, t, next) {
		q.answer(op, kafka.UnknownServerError, nobody)
		return
	}
	q.answer(op, kafka.None, next.owner())
	s.afterDecision(op, q.id, next)
}

// What is to be done with an EndTxn.
type step int8

const (
	refuse step = iota
	decide
	repeat // it has been done; the answer was lost
	await  // until the markers of the last transaction are written
)

// judge says what is to be done with an EndTxn; the code is that of refuse.
func (q *endRequest) judge(t *Transaction) (step, kafka.ErrorCode) {
	if q.version2 {
		return q.judge2(t)
	}
	if code := t.checkOwner(q.producer); code != kafka.None {
		return refuse, code
	}
	decided := t.decision()
	switch {
	case t.State == Ongoing:
		return decide, kafka.None
	case decided == undecided || (decided == committed) != q.commit:
		return refuse, kafka.InvalidTxnState
	case t.State.isPrepared():
		return await, kafka.None
	}
	return repeat, kafka.None
}

// judge2 is for version 2, where the epoch tells a repeat (one below) from the end of the next transaction.
func (q *endRequest) judge2(t *Transaction) (step, kafka.ErrorCode) {
	decided := t.decision()
	if decided != undecided && t.isRepeatOf(q.producer) {
		switch {
		case (decided == committed) != q.commit:
			return refuse, kafka.InvalidTxnState
		case t.State.isPrepared():
			return await, kafka.None
		}
		return repeat, kafka.None
	}
	if code := t.checkOwner(q.producer); code != kafka.None {
		return refuse, code
	}
	switch {
	case t.State == Ongoing:
		return decide, kafka.None
	case t.State.isPrepared():
		return await, kafka.None
	case q.commit:
		return refuse, kafka.InvalidTxnState
	}
	return decide, kafka.None
}

// decision is how the last transaction was decided.
type decision int8

const (
	undecided decision = iota
	committed
	aborted
)

func (t *Transaction) decision() decision {
	switch t.State {
	case PrepareCommit, CompleteCommit:
		return committed
	case PrepareAbort, CompleteAbort:
		return aborted
	}
	return undecided
}

// answer tells the producer of the next transaction to clients of version 2.
func (q *endRequest) answer(op *coordinator.Op, code kafka.ErrorCode, next coordinator.Producer) {
	a := kmsg.NewPtrEndTxnResponse()
	if !q.version2 {
		next = nobody
	}
	a.ErrorCode = int16(fencedFor(code, !q.oldest))
	a.ProducerID, a.ProducerEpoch = int64(next.ID), int16(next.Epoch)
	q.later.Give(op, a)
}
