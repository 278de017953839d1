package broker

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/replica"
)

// ProduceRequest asks to append one batch for each partition.
type ProduceRequest struct {
	Acks            int16 // -1, 0 or 1; anything else: kafka.InvalidRequiredAcks
	Timeout         time.Duration
	TransactionalID string
	Transactions    TransactionSupport // what the client knows of them
	Partitions      []ProducePartition
}

// TransactionSupport is what a producer's version of the protocol knows of transactions (KIP-890).
type TransactionSupport int8

const (
	TransactionsVerified  TransactionSupport = iota // it adds each partition to its transaction before it writes to it
	TransactionsAbortable                           // the same, and it understands TRANSACTION_ABORTABLE
	TransactionsImplicit                            // writing adds the partition; every transaction has an epoch of its own
)

// ProducePartition: the topic by name or, if Topic is empty, by id. Records alias the request frame and are borrowed until Produce
// returns; base offset, leader epoch and (LogAppendTime) timestamps are written into them.
type ProducePartition struct {
	Topic     string
	TopicID   kafka.UUID
	Partition int32
	Records   record.Batches // exactly one batch; none is kafka.InvalidRecord, as in Kafka
}

// ProduceResult answers one partition, in the order of the request.
type ProduceResult struct {
	Err           error           // its code and message: kafka.CodeOf, kafka.MessageOf
	BaseOffset    kafka.Offset    // NoOffset unless appended; set also with kafka.RequestTimedOut
	LogAppendTime kafka.Timestamp // NoTimestamp unless the topic stamps
	LogStart      kafka.Offset
	Leader        kafka.BrokerID // with kafka.NotLeaderOrFollower, else NoBroker
	LeaderEpoch   kafka.LeaderEpoch
	RecordErrors  []RecordError
}

// RecordError names a record that made its batch refused (KIP-467).
type RecordError struct {
	Index   int32
	Message string
}

// adminClient is the client id of Kafka's own admin tools, which may write to internal topics.
const adminClient = "__admin_client"

var (
	errAcks     = kafka.Errorf(kafka.InvalidRequiredAcks, "acks must be all (-1), 0 or 1")
	errNoBatch  = kafka.Errorf(kafka.InvalidRecord, "a produce request must have exactly one record batch per partition")
	errInternal = kafka.Errorf(kafka.InvalidTopicException, "cannot append to an internal topic")
	errTimedOut = kafka.Errorf(kafka.RequestTimedOut, "the records were appended but are not yet as durable as asked: retry, idempotent producers lose and repeat nothing")
)

// Produce appends one batch to each partition, in the order of the request; a partition's failure is its own (BRK-1). When it returns
// the batches are readable here and need their bytes no more. Wait of the Await returns when those that were appended are committed,
// or with kafka.RequestTimedOut for the ones that are not when req.Timeout has passed or ctx ends. With acks=0 it does not wait.
// req is borrowed until Wait returns.
//
// A batch for a partition that may be led here any moment waits for that, a tenth of a second at most (await_role.go).
//
// Batches of transactions wait here for their coordinator, at most req.Timeout, if they are the first in their partition (KIP-890).
//
// Per partition: UnknownTopicOrPartition, UnknownTopicID, InvalidRequiredAcks, InvalidTopicException (internal topic) and the errors
// of partition.AppendAsLeader, for transactions also those of admitTransactions. A full or broken disk is KafkaStorageError, which clients
// retry.
func (b *Broker) Produce(s *Session, req *ProduceRequest) Await[[]ProduceResult] {
	a := b.produces.Get().(*produceAwait)
	a.req = req
	a.results = make([]ProduceResult, len(req.Partitions))
	a.waiter.Start()
	now := b.opts.Now()
	find := lookup{replicas: b.opts.Replicas}
	if hasTransactions(req) {
		b.admitTransactions(req, a, now)
	}
	for i := range req.Partitions {
		err := b.appendOne(s, req, &find, int32(i), a, now)
		switch {
		case err == nil:
		case b.mayLead(a.slots[i].partition, err):
			a.early = append(a.early, int32(i))
		default:
			a.fail(int32(i), err)
		}
	}
	if len(a.early) > 0 {
		b.appendLate(req, a)
	}
	if a.waits = !a.waiter.Seal(); a.waits {
		a.deadline = now.Add(req.Timeout)
	}
	return a
}

// appendOne appends the batch of one partition, which becomes the next slot of a.
func (b *Broker) appendOne(s *Session, req *ProduceRequest, find *lookup, i int32, a *produceAwait, now time.Time) error {
	at := &req.Partitions[i]
	t, p, err := find.find(at.Topic, at.TopicID, at.Partition)
	slot := produceSlot{partition: p}
	if t != nil {
		slot.stats = t.Stats
		t.Stats.ProduceRequests.Add(1)
	}
	a.slots = append(a.slots, slot)
	if err != nil {
		return err
	}
	if err := admit(s, req, at, t); err != nil {
		return err
	}
	return b.appendTo(req, i, a, now)
}

// appendTo appends a batch that was let in to the partition of its slot.
func (b *Broker) appendTo(req *ProduceRequest, i int32, a *produceAwait, now time.Time) error {
	at, p := &req.Partitions[i], a.slots[i].partition
	batch := partition.Append{Records: at.Records, AllReplicas: req.Acks == -1, Slot: i}
	if len(a.admitted) > 0 {
		if err := a.admitted[i].err; err != nil {
			return err
		}
		batch.Guard = a.admitted[i].guard
	}
	if req.Acks != 0 {
		batch.Waiter = a.waiter
	}
	done, err := p.AppendAsLeader(batch, now)
	if batch.Guard != (partition.TxnGuard{}) && kafka.CodeOf(err) == kafka.InvalidTxnState {
		again := b.admitAgain(req, a, i, now)
		if again.err != nil {
			return again.err
		}
		batch.Guard = again.guard
		done, err = p.AppendAsLeader(batch, now)
	}
	if err != nil {
		return admissionError(req, err)
	}
	a.results[i] = ProduceResult{
		BaseOffset: done.Base, LogAppendTime: done.AppendTime, LogStart: done.LogStart,
		Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch,
	}
	return nil
}

// admit refuses what no partition need look at.
func admit(s *Session, req *ProduceRequest, at *ProducePartition, t *replica.Topic) error {
	switch {
	case req.Acks < -1 || req.Acks > 1:
		return errAcks
	case t.Internal && s.ClientID != adminClient:
		return errInternal
	case len(at.Records) == 0:
		return errNoBatch
	}
	return nil
}
