package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AddPartitionsToTxn: v0-5
//
// Behaviour: adds partitions to transactions; if one cannot be, none of that transaction is. Clients of transaction version 2 leave it out:
// the broker that gets their records asks.
// v3 flexible · v4 many transactions, verification only; for brokers · v5 TRANSACTION_ABORTABLE
// Left out: the throttle time is 0.
func addPartitionsToTxn(ctx context.Context, r *request, q *kmsg.AddPartitionsToTxnRequest, a *kmsg.AddPartitionsToTxnResponse) {
	if r.version < 4 {
		t := kmsg.NewAddPartitionsToTxnRequestTransaction()
		t.TransactionalID, t.ProducerID, t.ProducerEpoch = q.TransactionalID, q.ProducerID, q.ProducerEpoch
		for i := range q.Topics {
			topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			topic.Topic, topic.Partitions = q.Topics[i].Topic, q.Topics[i].Partitions
			t.Topics = append(t.Topics, topic)
		}
		q.Transactions = append(q.Transactions[:0], t)
	}
	added := r.conn.srv.broker.AddPartitionsToTxn(ctx, r.session, q)
	if r.version >= 4 {
		*a = *added
		return
	}
	for i := range q.Topics {
		topic := kmsg.NewAddPartitionsToTxnResponseTopic()
		topic.Topic = q.Topics[i].Topic
		for _, n := range q.Topics[i].Partitions {
			p := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			p.Partition, p.ErrorCode = n, added.ErrorCode
			topic.Partitions = append(topic.Partitions, p)
		}
		a.Topics = append(a.Topics, topic)
	}
	if added.ErrorCode != 0 {
		return
	}
	a.Topics = a.Topics[:0]
	for i := range added.Transactions {
		for _, t := range added.Transactions[i].Topics {
			topic := kmsg.NewAddPartitionsToTxnResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				topic.Partitions = append(topic.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: p.Partition, ErrorCode: p.ErrorCode})
			}
			a.Topics = append(a.Topics, topic)
		}
	}
}
