package txn

import (
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Topic is the internal topic whose partitions the shards are.
const Topic = "__transaction_state"

// Limits of one shard (P6).
const (
	// maxIDs transactional ids, at some 300 bytes each. At the limit a new id is refused with COORDINATOR_NOT_AVAILABLE until others expire.
	maxIDs = 500_000
	// maxValue bytes of one record. Partitions that would make it larger are refused with TRANSACTION_ABORTABLE.
	maxValue = 900_000
)

// Options of a shard: the broker's settings.
type Options struct {
	MaxTimeout    time.Duration // transaction.max.timeout.ms
	Expiration    time.Duration // transactional.id.expiration.ms
	ExpirationRun time.Duration // transaction.remove.expired.transaction.cleanup.interval.ms
}

// Shard is the transactional ids of one partition of __transaction_state.
type Shard struct {
	opts    Options
	limit   int // maxIDs
	txns    *timeline.Map[string, *Transaction]
	waiting *timeline.Map[string, []waiter] // by transactional id, oldest first
	waiters *timeline.Value[int]            // in all
}

var _ coordinator.Shard = (*Shard)(nil)

// NewShard returns an empty shard.
func NewShard(reg *timeline.Registry, o Options) *Shard {
	return &Shard{
		opts:    o,
		limit:   maxIDs,
		txns:    timeline.NewMap[string, *Transaction](reg),
		waiting: timeline.NewMap[string, []waiter](reg),
		waiters: timeline.NewValue(reg, 0),
	}
}

// Decode implements coordinator.Shard.
func (s *Shard) Decode(key, value []byte) (coordinator.Record, error) { return Decode(key, value) }

// Replay implements coordinator.Shard.
func (s *Shard) Replay(r coordinator.Record, _ coordinator.Producer) {
	rec, ok := r.(Record)
	switch {
	case !ok:
	case rec.Transaction == nil:
		s.txns.Delete(rec.ID)
	default:
		s.txns.Set(rec.ID, rec.Transaction)
	}
}

// EndTxn implements coordinator.Shard: nothing here is written in a transaction.
func (s *Shard) EndTxn(coordinator.Producer, bool) {}

// Changed implements coordinator.Shard: a partition that is removed while a transaction has it is found when its marker is to be written.
func (s *Shard) Changed(*coordinator.Op, *metadata.Delta) {}

// Loaded implements coordinator.Shard. What was decided goes on, and what is open has as long as it had left.
func (s *Shard) Loaded(op *coordinator.Op) {
	for id, t := range s.txns.All() {
		switch {
		case t.State.isPrepared() && len(t.Partitions) == 0:
			s.complete(op, id, t)
		case t.State.isPrepared():
			s.sendMarkers(op, id, t)
		case t.State == Ongoing:
			s.scheduleTimeout(op, id, t)
		}
	}
	s.scheduleExpiration(op, s.opts.ExpirationRun)
}

// move emits the last of steps, having looked that each may follow the one before (TXN-1). It is the only place where a transaction is
// emitted; a false means that this build has a mistake, and nothing has happened.
func (s *Shard) move(op *coordinator.Op, id string, before *Transaction, steps ...*Transaction) bool {
	from := Empty // a new id comes from nowhere
	if before != nil {
		from = before.State
	}
	for _, t := range steps {
		if !t.State.mayFollow(from) {
			op.Note(id, "refused to go from "+from.String()+" to "+t.State.String()+": the graph of states has no such edge")
			return false
		}
		from = t.State
	}
	op.Emit(Record{ID: id, Transaction: steps[len(steps)-1]})
	return true
}

// find returns the transaction of an id, and whether there is one.
func (s *Shard) find(id string) (*Transaction, bool) { return s.txns.Get(id) }

// producer is who a request says it comes from.
func producer(id int64, epoch int16) coordinator.Producer {
	return coordinator.Producer{ID: kafka.ProducerID(id), Epoch: kafka.ProducerEpoch(epoch)}
}

var nobody = coordinator.Producer{ID: kafka.NoProducer, Epoch: noEpoch}
