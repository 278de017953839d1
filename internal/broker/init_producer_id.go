package broker

import (
	"context"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
)

// InitProducerIDRequest asks for a producer id. TransactionalID nil: for an idempotent producer.
type InitProducerIDRequest struct {
	// Version of Kafka's request, by which an older client is told errors as it knows them.
	Version         int16
	TransactionalID *string
	Timeout         time.Duration       // of each transaction
	ProducerID      kafka.ProducerID    // the one the producer has, NoProducer: none yet
	Epoch           kafka.ProducerEpoch // of ProducerID, -1: none yet
}

// InitProducerID gives an idempotent producer an id of its own, at epoch 0; one that has an id already gets a new one, as in Kafka. The
// producer of a transactional id gets the id that belongs to that, at an epoch that fences older instances; if one of them has left a
// transaction open, that is aborted first, for which this waits.
//
// Errors: InvalidRequest if id and epoch do not go together or the transactional id is empty, CoordinatorLoadInProgress if no ids could
// be had now; for a transactional id also what txn.Shard.InitProducerID answers, and the coordinator's.
func (b *Broker) InitProducerID(ctx context.Context, _ *Session, req InitProducerIDRequest) (kafka.ProducerID, kafka.ProducerEpoch, error) {
	const none = kafka.ProducerEpoch(-1)
	switch {
	case (req.ProducerID == kafka.NoProducer) != (req.Epoch == none):
		return kafka.NoProducer, none, kafka.Errorf(kafka.InvalidRequest, "producer id %d does not go with epoch %d", req.ProducerID, req.Epoch)
	case req.TransactionalID != nil && *req.TransactionalID == "":
		return kafka.NoProducer, none, kafka.Errorf(kafka.InvalidRequest, "the transactional id is empty")
	case req.TransactionalID != nil && b.opts.Txns == nil:
		return kafka.NoProducer, none, kafka.Errorf(kafka.CoordinatorNotAvailable, "this broker has no transaction coordinator: produce without transactional.id")
	}
	id, err := b.producers.next(ctx)
	if err != nil {
		return kafka.NoProducer, none, kafka.Errorf(kafka.CoordinatorLoadInProgress, "no producer ids can be had at the moment, try again: %w", err)
	}
	if req.TransactionalID == nil {
		return id, 0, nil
	}
	return b.initTransactional(ctx, req, id)
}

// initTransactional asks the coordinator of a transactional id. newID is lost unless the transactional id needs one.
func (b *Broker) initTransactional(ctx context.Context, req InitProducerIDRequest, newID kafka.ProducerID) (kafka.ProducerID, kafka.ProducerEpoch, error) {
	q := kmsg.NewPtrInitProducerIDRequest()
	q.Version, q.TransactionalID = req.Version, req.TransactionalID
	q.TransactionTimeoutMillis = int32(min(max(req.Timeout.Milliseconds(), 0), math.MaxInt32))
	q.ProducerID, q.ProducerEpoch = int64(req.ProducerID), int16(req.Epoch)
	a, err := coordinator.AskLater(ctx, b.opts.Txns, *req.TransactionalID, func(s *txn.Shard, op *coordinator.Op, later *coordinator.Reply[*kmsg.InitProducerIDResponse]) {
		s.InitProducerID(op, q, newID, later)
	})
	if err != nil {
		return kafka.NoProducer, -1, coordinatorCode(err)
	}
	if code := kafka.ErrorCode(a.ErrorCode); code != kafka.None {
		return kafka.NoProducer, -1, code
	}
	return kafka.ProducerID(a.ProducerID), kafka.ProducerEpoch(a.ProducerEpoch), nil
}

// producerIDs gives out the ids of a block, then asks for the next block.
type producerIDs struct {
	source ProducerIDs
	turn   chan struct{} // holds one token; who has it may touch what follows and may wait for the source
	free   kafka.ProducerID
	end    kafka.ProducerID
}

func (p *producerIDs) init(source ProducerIDs) {
	p.source = source
	p.turn = make(chan struct{}, 1)
	p.turn <- struct{}{}
}

func (p *producerIDs) next(ctx context.Context) (kafka.ProducerID, error) {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return kafka.NoProducer, ctx.Err()
	}
	defer func() { p.turn <- struct{}{} }()
	if p.free == p.end {
		first, count, err := p.source.AllocateProducerIDs(ctx)
		if err != nil {
			return kafka.NoProducer, err
		}
		p.free, p.end = first, first+kafka.ProducerID(count)
	}
	id := p.free
	p.free++
	return id, nil
}
