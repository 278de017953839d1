package txn

import (
	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// SendMarkers is an effect: the decision about a transaction is committed, and its markers are to be written to all of its partitions
// (TXN-2). When they are committed, MarkersWritten is to be called. It may come again for the same transaction after a load.
type SendMarkers struct {
	ID               string
	Producer         coordinator.Producer
	Commit           bool
	Version          int16 // of the client: with Version2 the epoch is above that of the records
	CoordinatorEpoch int32
	Partitions       []kafka.TopicPartition // not to be written to
}

// afterDecision does what follows a decision that has just been emitted.
func (s *Shard) afterDecision(op *coordinator.Op, id string, t *Transaction) {
	op.Cancel(timeoutKey(id))
	if len(t.Partitions) == 0 {
		s.complete(op, id, t) // no marker to wait for (TXN-4)
		return
	}
	s.sendMarkers(op, id, t)
}

func (s *Shard) sendMarkers(op *coordinator.Op, id string, t *Transaction) {
	epoch := kafka.NoEpoch
	if _, p, ok := op.Image.Partition(kafka.TopicPartition{Topic: Topic, Partition: op.Partition()}); ok {
		epoch = p.LeaderEpoch
	}
	op.Effect(SendMarkers{
		ID: id, Producer: coordinator.Producer{ID: t.ProducerID, Epoch: t.Epoch}, Commit: t.State == PrepareCommit,
		Version: t.ClientVersion, CoordinatorEpoch: int32(epoch), Partitions: t.Partitions,
	})
}

// MarkersWritten completes a transaction: all of its markers are committed (TXN-4). Who waited for that goes on. If the transaction is not
// the one that waits for markers, nothing happens: they had been written before.
func (s *Shard) MarkersWritten(op *coordinator.Op, id string, p coordinator.Producer) {
	t, ok := s.find(id)
	if !ok || !t.State.isPrepared() || t.ProducerID != p.ID || t.Epoch != p.Epoch {
		return
	}
	s.complete(op, id, t)
}

func (s *Shard) complete(op *coordinator.Op, id string, t *Transaction) {
	if s.move(op, id, t, t.completed(op.Now)) {
		s.resume(op, id)
	}
}
