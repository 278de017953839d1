package broker

import (
	"context"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/queue"
	"github.com/rafka-io/rafka/internal/replica"
)

// Broker is the verbs. All of them may be called from any goroutine.
type Broker struct {
	admin
	opts Options

	produces  sync.Pool // of *produceAwait
	fetches   sync.Pool // of *fetchAwait
	follows   sync.Pool // of *followAwait
	room      room      // of records that consumers fetched
	followers room      // of records that followers fetched
	rackAware bool      // consumers are sent to the replica in their rack
	producers producerIDs
	roleWaits roleWaits
}

// Options of a Broker. Everything without a default in brackets is required.
type Options struct {
	AdminOptions
	GroupOptions
	TxnOptions
	// Replicas are the partitions of this node.
	Replicas *replica.Manager
	// Image is the metadata of this moment, as this node knows it. [Controller.Image]
	Image func() *metadata.Image
	// ProducerIDs hands out blocks of producer ids. [Controller]
	ProducerIDs ProducerIDs
	// Transactions is asked whether a transaction has a partition before its first batch is appended there. [none: batches of transactions
	// are refused]
	Transactions Transactions
	// TrustTransactions says whether transaction.partition.verification.enable is off: then the batches of clients that add partitions to
	// their transactions themselves are appended without asking. [never]
	TrustTransactions func() bool
	// ShareStates keeps what share groups have done with records, on this node. [none: CoordinatorNotAvailable]
	ShareStates interface {
		Ready(ctx context.Context, partition int32) error
	}
	// Queues gives records to share groups. [none: the verbs about them answer UnsupportedVersion]
	Queues *queue.Manager
	// FetchMaxBytes is fetch.max.bytes: no answer to a fetch is larger, whatever it asks for. [57671680]
	FetchMaxBytes int
	// FetchBytes is the memory for records that were fetched and are not yet written to the client, of all consumers together. Followers
	// have as much of their own, so that consumers who do not read cannot hold up replication. [128 MiB]
	FetchBytes int64
	// Now is the clock. [time.Now]
	Now func() time.Time
}

// Transactions are the transactions that the coordinators know, wherever they are.
type Transactions interface {
	// AddPartitions makes sure that the ongoing transaction of a producer has the partitions, for each of which it returns nil or why not.
	// verifyOnly asks; otherwise partitions that are missing are added, and a transaction begins if none is ongoing. It waits until that is
	// committed or ctx ends.
	//
	// Errors: InvalidTxnState or TransactionAbortable if a partition is not in the transaction, ConcurrentTransactions while the last one
	// is being ended, InvalidProducerEpoch or ProducerFenced, InvalidProducerIDMapping, CoordinatorNotAvailable, CoordinatorLoadInProgress,
	// NotCoordinator.
	AddPartitions(ctx context.Context, transactionalID string, producer kafka.ProducerID, epoch kafka.ProducerEpoch, partitions []kafka.TopicPartition, verifyOnly bool) []error
}

// ProducerIDs hands out blocks of producer ids that no broker has used or will use: the controller is behind it.
type ProducerIDs interface {
	// AllocateProducerIDs returns the ids [first, first+count).
	AllocateProducerIDs(ctx context.Context) (first kafka.ProducerID, count int32, err error)
}

// New returns a Broker over what app has started. It owns no goroutine and needs no Close.
func New(o Options) *Broker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FetchMaxBytes <= 0 {
		o.FetchMaxBytes = 55 << 20
	}
	if o.FetchBytes <= 0 {
		o.FetchBytes = 128 << 20
	}
	if o.GroupSettings == nil {
		o.GroupSettings = NewGroupSettings(o.Settings)
	}
	if o.Image == nil {
		o.Image = o.Controller.Image
	}
	if o.ProducerIDs == nil {
		o.ProducerIDs = o.Controller
	}
	b := &Broker{admin: admin{opts: o.AdminOptions}, opts: o}
	b.room.limit, b.followers.limit = o.FetchBytes, o.FetchBytes
	b.rackAware = o.Settings.rackAware()
	b.produces.New = func() any { return newProduceAwait(b) }
	b.fetches.New = func() any { return newFetchAwait(b) }
	b.follows.New = func() any { return newFollowAwait(b) }
	b.producers.init(o.ProducerIDs)
	return b
}

// Image is the metadata of this moment; a request asks once (MET-1).
func (b *Broker) Image() *metadata.Image { return b.opts.Image() }
