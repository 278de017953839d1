package txn

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Add asks to make partitions part of the open transaction of a producer, or to open one with them.
type Add struct {
	ID         string
	Producer   coordinator.Producer
	Partitions []kafka.TopicPartition
	Version    int16 // Version1: the client asked by itself; Version2: a broker that got records or offsets of it
	AtOnce     bool  // ConcurrentTransactions instead of waiting for the end of the last transaction
}

// AddPartitions adds all partitions or none, and opens the transaction if there is none. While the last transaction of the producer waits
// for its markers, so does the answer, unless AtOnce.
//
// Answers: None, InvalidRequest; InvalidProducerIDMapping if the transactional id is not known or belongs to another producer id;
// ProducerFenced; ConcurrentTransactions after waiting long; TransactionAbortable if there are too many partitions.
func (s *Shard) AddPartitions(op *coordinator.Op, a Add, later *coordinator.Reply[kafka.ErrorCode]) {
	if a.ID == "" {
		later.Give(op, kafka.InvalidRequest)
		return
	}
	s.addPartitions(op, a, later, time.Time{})
}

func (s *Shard) addPartitions(op *coordinator.Op, a Add, later *coordinator.Reply[kafka.ErrorCode], since time.Time) {
	t, ok := s.find(a.ID)
	if !ok {
		later.Give(op, kafka.InvalidProducerIDMapping)
		return
	}
	if code := t.checkOwner(a.Producer); code != kafka.None {
		later.Give(op, code)
		return
	}
	if t.State.isPrepared() && a.AtOnce {
		later.Give(op, kafka.ConcurrentTransactions)
		return
	}
	if t.State.isPrepared() {
		s.wait(op, a.ID, waiter{
			since:  since,
			retry:  func(op *coordinator.Op, since time.Time) { s.addPartitions(op, a, later, since) },
			refuse: func(op *coordinator.Op) { later.Give(op, kafka.ConcurrentTransactions) },
		})
		return
	}
	next := t.added(a.Partitions, a.Version, op.Now)
	if next == t {
		later.Give(op, kafka.None)
		return
	}
	if next.valueSize() > maxValue {
		op.Note(a.ID, "refused: more partitions than one record of the transaction log holds")
		later.Give(op, kafka.TransactionAbortable)
		return
	}
	if !s.move(op, a.ID, t, next) {
		later.Give(op, kafka.UnknownServerError)
		return
	}
	if t.State != Ongoing {
		s.scheduleTimeout(op, a.ID, next)
	}
	later.Give(op, kafka.None)
}

// checkOwner refuses who may not write in the transaction that is open or comes next (TXN-5).
func (t *Transaction) checkOwner(p coordinator.Producer) kafka.ErrorCode {
	switch owner := t.owner(); {
	case p.ID != owner.ID:
		return kafka.InvalidProducerIDMapping
	case p.Epoch != owner.Epoch:
		return kafka.ProducerFenced
	}
	return kafka.None
}

// valueSize is about the size of the record, from above.
func (t *Transaction) valueSize() int {
	n := 100
	for i := range t.Partitions {
		n += 4
		if i == 0 || t.Partitions[i].Topic != t.Partitions[i-1].Topic {
			n += len(t.Partitions[i].Topic) + 8
		}
	}
	return n
}

// VerifyPartitions says of each partition whether it is part of the open transaction of a producer, as far as that is committed: an
// answer stays true until a marker is written. Answers: None, TransactionAbortable if it is not part, or for all of them
// InvalidRequest, InvalidProducerIDMapping, ProducerFenced, or ConcurrentTransactions if the transaction is decided.
func (s *Shard) VerifyPartitions(v coordinator.View, id string, p coordinator.Producer, partitions []kafka.TopicPartition) []kafka.ErrorCode {
	codes := make([]kafka.ErrorCode, len(partitions))
	all := kafka.None
	t, ok := s.txns.GetAt(id, v.Committed)
	switch {
	case id == "":
		all = kafka.InvalidRequest
	case !ok:
		all = kafka.InvalidProducerIDMapping
	default:
		if all = t.checkOwner(p); all == kafka.None && t.State.isPrepared() {
			all = kafka.ConcurrentTransactions
		}
	}
	for i, tp := range partitions {
		switch {
		case all != kafka.None:
			codes[i] = all
		case t.State != Ongoing || !t.has(tp):
			codes[i] = kafka.TransactionAbortable
		}
	}
	return codes
}
