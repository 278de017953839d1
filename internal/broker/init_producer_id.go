package broker

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// InitProducerIDRequest asks for a producer id. TransactionalID nil: for an idempotent producer.
type InitProducerIDRequest struct {
	TransactionalID *string
	Timeout         time.Duration
	ProducerID      kafka.ProducerID    // the one the producer has, NoProducer: none yet
	Epoch           kafka.ProducerEpoch // of ProducerID, -1: none yet
}

// InitProducerID gives an idempotent producer an id of its own, at epoch 0; one that has an id already gets a new one, as in Kafka.
//
// Errors: InvalidRequest if id and epoch do not go together or the transactional id is empty, CoordinatorNotAvailable for a transactional
// id (there is no transaction coordinator yet), CoordinatorLoadInProgress if no ids could be had now.
func (b *Broker) InitProducerID(ctx context.Context, _ *Session, req InitProducerIDRequest) (kafka.ProducerID, kafka.ProducerEpoch, error) {
	const none = kafka.ProducerEpoch(-1)
	switch {
	case (req.ProducerID == kafka.NoProducer) != (req.Epoch == none):
		return kafka.NoProducer, none, kafka.Errorf(kafka.InvalidRequest, "producer id %d does not go with epoch %d", req.ProducerID, req.Epoch)
	case req.TransactionalID != nil && *req.TransactionalID == "":
		return kafka.NoProducer, none, kafka.Errorf(kafka.InvalidRequest, "the transactional id is empty")
	case req.TransactionalID != nil:
		return kafka.NoProducer, none, kafka.Errorf(kafka.CoordinatorNotAvailable, "this broker has no transaction coordinator: produce without transactional.id")
	}
	id, err := b.producers.next(ctx)
	if err != nil {
		return kafka.NoProducer, none, kafka.Errorf(kafka.CoordinatorLoadInProgress, "no producer ids can be had at the moment, try again: %w", err)
	}
	return id, 0, nil
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
