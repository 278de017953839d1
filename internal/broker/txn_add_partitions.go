package broker

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxAdding is how many transactions of one request are added to at a time.
const maxAdding = 64

// AddPartitionsToTxn adds partitions to transactions, or looks whether they are part of them (VerifyOnly). What there is to do is in
// q.Transactions, for every version. Versions up to 3 come from clients; newer ones from brokers, for clients of transaction version 2, and may
// be about many transactions: they wait for the log together, and none of them for the markers of another's last transaction
// (CONCURRENT_TRANSACTIONS).
//
// Per partition: UNKNOWN_TOPIC_OR_PARTITION, and OPERATION_NOT_ATTEMPTED for the others of such a transaction; the answers of
// txn.Shard.AddPartitions (INVALID_PRODUCER_EPOCH for PRODUCER_FENCED before v2) and VerifyPartitions, and those of the coordinator.
func (b *Broker) AddPartitionsToTxn(ctx context.Context, _ *Session, q *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	a := kmsg.NewPtrAddPartitionsToTxnResponse()
	img := b.Image()
	alone := len(q.Transactions) == 1
	codes := make([][]kafka.ErrorCode, len(q.Transactions))
	turns := make(chan struct{}, maxAdding)
	var adding sync.WaitGroup
	for i := range q.Transactions {
		t := &q.Transactions[i]
		partitions, each, allExist := partitionsOf(img, t)
		switch {
		case !allExist:
			codes[i] = each
		case alone || t.VerifyOnly:
			codes[i] = b.addPartitions(ctx, q.Version, t, partitions, alone)
		default:
			turns <- struct{}{}
			adding.Go(func() {
				codes[i] = b.addPartitions(ctx, q.Version, t, partitions, alone)
				<-turns
			})
		}
	}
	adding.Wait()
	for i := range q.Transactions {
		a.Transactions = append(a.Transactions, addAnswer(&q.Transactions[i], codes[i]))
	}
	return a
}

// partitionsOf lists the partitions of a transaction; codes say which do not exist.
func partitionsOf(img *metadata.Image, t *kmsg.AddPartitionsToTxnRequestTransaction) (partitions []kafka.TopicPartition, codes []kafka.ErrorCode, allExist bool) {
	allExist = true
	for i := range t.Topics {
		for _, n := range t.Topics[i].Partitions {
			tp := kafka.TopicPartition{Topic: t.Topics[i].Topic, Partition: n}
			code := kafka.OperationNotAttempted
			if _, _, ok := img.Partition(tp); !ok {
				code, allExist = kafka.UnknownTopicOrPartition, false
			}
			partitions, codes = append(partitions, tp), append(codes, code)
		}
	}
	return partitions, codes, allExist
}

// addPartitions adds to one transaction, or verifies it. patient: it may wait for the end of the producer's last transaction.
func (b *Broker) addPartitions(ctx context.Context, version int16, t *kmsg.AddPartitionsToTxnRequestTransaction, partitions []kafka.TopicPartition, patient bool) []kafka.ErrorCode {
	p := coordinator.Producer{ID: kafka.ProducerID(t.ProducerID), Epoch: kafka.ProducerEpoch(t.ProducerEpoch)}
	if t.VerifyOnly {
		return b.transactions().verify(t.TransactionalID, p, partitions)
	}
	add := txn.Add{ID: t.TransactionalID, Producer: p, Partitions: partitions, Version: txn.Version1, AtOnce: !patient}
	if version >= 4 {
		add.Version = txn.Version2
	}
	code := b.transactions().add(ctx, add)
	return repeated(olderFenced(code, version < 2), len(partitions))
}

func addAnswer(t *kmsg.AddPartitionsToTxnRequestTransaction, codes []kafka.ErrorCode) kmsg.AddPartitionsToTxnResponseTransaction {
	a := kmsg.NewAddPartitionsToTxnResponseTransaction()
	a.TransactionalID = t.TransactionalID
	for i := range t.Topics {
		topic := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		topic.Topic = t.Topics[i].Topic
		for _, n := range t.Topics[i].Partitions {
			p := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			p.Partition, p.ErrorCode = n, int16(codes[0])
			topic.Partitions, codes = append(topic.Partitions, p), codes[1:]
		}
		a.Topics = append(a.Topics, topic)
	}
	return a
}

// olderFenced is PRODUCER_FENCED for clients that do not know it yet.
func olderFenced(code kafka.ErrorCode, older bool) kafka.ErrorCode {
	if older && code == kafka.ProducerFenced {
		return kafka.InvalidProducerEpoch
	}
	return code
}
