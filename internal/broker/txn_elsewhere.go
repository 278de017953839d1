package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Peers asks other brokers. The answer to a request must not have to wait for that to an earlier one, which may wait for replicas.
type Peers interface {
	Kafka(ctx context.Context, broker kafka.BrokerID, q kmsg.Request) (kmsg.Response, error)
}

// TransactionsOptions are what ClusterTransactions needs; all of it.
type TransactionsOptions struct {
	NodeID kafka.BrokerID
	// Shards are the transactions that this node coordinates.
	Shards *coordinator.Runtime[*txn.Shard]
	// Image is the metadata of this moment: the leader of a partition of __transaction_state coordinates the transactions in it.
	Image func() *metadata.Image
	Peers Peers
}

// ClusterTransactions is the Transactions of a cluster: those that this node coordinates are asked here, about the others their coordinators are
// asked by AddPartitionsToTxn. Questions to one broker that come at the same moment go in one request.
type ClusterTransactions struct {
	opts  TransactionsOptions
	local localTransactions
	lines questionLines
}

var _ Transactions = (*ClusterTransactions)(nil)

// NewTransactions returns them. Close ends what is under way.
func NewTransactions(o TransactionsOptions) *ClusterTransactions {
	t := &ClusterTransactions{opts: o, local: localTransactions{o.Shards}}
	t.lines.init(o.Peers)
	return t
}

// Close lets everybody who waits go, and waits for the requests under way.
func (t *ClusterTransactions) Close() { t.lines.close() }

const (
	// questionVersion is that of the requests: several transactions, and TRANSACTION_ABORTABLE.
	questionVersion = 5
	// questionTimeout is how long a coordinator may take. It is more than it waits for the markers of a producer's last transaction.
	questionTimeout = 10 * time.Second
)

// AddPartitions implements Transactions. A coordinator that cannot be reached, or has just moved, is an error that the producer retries: by
// then the image may have another.
func (t *ClusterTransactions) AddPartitions(ctx context.Context, id string, producer kafka.ProducerID, epoch kafka.ProducerEpoch, partitions []kafka.TopicPartition, verifyOnly bool) []error {
	broker, err := t.coordinator(id)
	switch {
	case err != nil:
		return repeatedError(err, len(partitions))
	case broker == t.opts.NodeID:
		return t.local.AddPartitions(ctx, id, producer, epoch, partitions, verifyOnly)
	}
	q := &question{transaction: wireQuestion(id, producer, epoch, partitions, verifyOnly), partitions: partitions, answered: make(chan struct{})}
	errs := t.lines.ask(ctx, broker, q)
	if q.together && concurrent(errs) {
		// Together with others it was not let wait for the end of the producer's last transaction. Alone it is.
		alone := &question{transaction: q.transaction, partitions: partitions, answered: make(chan struct{})}
		errs = t.lines.askAlone(ctx, broker, alone)
	}
	return errs
}

// coordinator is the broker that coordinates a transactional id. Errors: CoordinatorNotAvailable.
func (t *ClusterTransactions) coordinator(id string) (kafka.BrokerID, error) {
	topic := t.opts.Image().Topics.ByName(txn.Topic)
	if topic == nil || len(topic.Partitions) == 0 {
		return kafka.NoBroker, kafka.Errorf(kafka.CoordinatorNotAvailable, "there is no transaction coordinator yet: find it first (FindCoordinator), then try again")
	}
	i := coordinator.PartitionOf(id, int32(len(topic.Partitions)))
	leader := topic.Partitions[i].Leader
	if leader == kafka.NoBroker {
		return leader, kafka.Errorf(kafka.CoordinatorNotAvailable, "%s-%d has no leader at the moment: try again", txn.Topic, i)
	}
	return leader, nil
}

// concurrent reports whether an answer says that the producer's last transaction is being ended.
func concurrent(errs []error) bool {
	for _, err := range errs {
		if isConcurrent(err) {
			return true
		}
	}
	return false
}

func repeatedError(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// wireQuestion is a question about one transaction, its partitions by topic.
func wireQuestion(id string, producer kafka.ProducerID, epoch kafka.ProducerEpoch, partitions []kafka.TopicPartition, verifyOnly bool) kmsg.AddPartitionsToTxnRequestTransaction {
	w := kmsg.NewAddPartitionsToTxnRequestTransaction()
	w.TransactionalID, w.ProducerID, w.ProducerEpoch, w.VerifyOnly = id, int64(producer), int16(epoch), verifyOnly
	at := map[string]int{}
	for _, tp := range partitions {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(w.Topics)
			at[tp.Topic] = i
			topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			topic.Topic = tp.Topic
			w.Topics = append(w.Topics, topic)
		}
		w.Topics[i].Partitions = append(w.Topics[i].Partitions, tp.Partition)
	}
	return w
}

// readQuestion is what a coordinator says of each partition.
func readQuestion(broker kafka.BrokerID, q *question, a *kmsg.AddPartitionsToTxnResponseTransaction) []error {
	codes := map[kafka.TopicPartition]kafka.ErrorCode{}
	if a.TransactionalID == q.transaction.TransactionalID {
		for i := range a.Topics {
			for _, p := range a.Topics[i].Partitions {
				codes[kafka.TopicPartition{Topic: a.Topics[i].Topic, Partition: p.Partition}] = kafka.ErrorCode(p.ErrorCode)
			}
		}
	}
	errs := make([]error, len(q.partitions))
	for i, tp := range q.partitions {
		switch code, ok := codes[tp]; {
		case !ok:
			errs[i] = kafka.Errorf(kafka.CoordinatorNotAvailable, "broker %d did not say whether the transaction has %s", broker, tp)
		case code != kafka.None:
			errs[i] = code
		}
	}
	return errs
}
