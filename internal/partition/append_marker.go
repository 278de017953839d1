package partition

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Marker ends a producer's transaction in a partition (WriteTxnMarkers).
type Marker struct {
	Producer         kafka.ProducerID
	Epoch            kafka.ProducerEpoch
	CoordinatorEpoch int32
	Commit           bool // false: the transaction is aborted
	// Version of the transaction: from 2 on the coordinator raises the epoch with each marker, which tells a late marker from a right one.
	Version int16
	// Waiter is told when the marker is committed; nil: nobody waits. It is told with Slot.
	Waiter *AckWaiter
	Slot   int32
}

// AppendMarker ends the producer's open transaction, if there is one, and fences older epochs of the producer and of the coordinator. The
// repeat of a marker is not appended and waits until what was appended before is committed. It waits for nothing itself but the engine's
// back-pressure; on an error m.Waiter is told nothing.
//
// Errors: NotLeaderOrFollower, NotEnoughReplicas, InvalidProducerEpoch, TransactionCoordinatorFenced, KafkaStorageError.
func (p *Partition) AppendMarker(m Marker, now time.Time) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	if m.Producer < 0 || m.Epoch < 0 {
		return kafka.Errorf(kafka.InvalidRequest, "a marker for producer %d in epoch %d", m.Producer, m.Epoch)
	}
	ms := kafka.Timestamp(now.UnixMilli())
	end := record.EndTxnMarker{Commit: m.Commit, CoordinatorEpoch: m.CoordinatorEpoch}
	o := record.BatchOptions{ProducerID: m.Producer, ProducerEpoch: m.Epoch}
	batch, err := record.BuildEndTxnMarker(nil, o, end, ms)
	if err != nil {
		return err
	}
	h, _ := record.ParseHeader(batch)
	s := p.settings.Load()

	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.mayAppend(s, true)
	if err != nil {
		return err
	}
	needed, err := p.producers.checkMarker(&m)
	if err != nil {
		return err
	}
	if !needed {
		p.producers.guards.drop(m.Producer)
		p.queueLocked(l, p.end, 0, ack{waiter: m.Waiter, slot: m.Slot})
		return nil
	}
	_, err = p.writeLocked(l, s, role, batch, &h, &end, now, ack{waiter: m.Waiter, slot: m.Slot})
	return err
}
