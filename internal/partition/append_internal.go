package partition

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// AppendInternal appends one batch that a coordinator of this node has built, as leader of the given epoch (COR-5): records of its own, those of a
// transaction, or a transaction's marker. It returns the offset after it. The repeat of a marker is not appended: then that is the log end of
// before. It waits for nothing but the engine's back-pressure. Base offset and leader epoch are written into the batch.
//
// Errors: NotLeaderOrFollower, FencedLeaderEpoch, NotEnoughReplicas, InvalidProducerEpoch, ConcurrentTransactions, TransactionCoordinatorFenced,
// KafkaStorageError.
func (p *Partition) AppendInternal(batch record.Batches, epoch kafka.LeaderEpoch, now time.Time) (next kafka.Offset, err error) {
	l, err := p.load()
	if err != nil {
		return kafka.NoOffset, err
	}
	h, marker, err := internalBatch(batch)
	if err != nil {
		return kafka.NoOffset, err
	}
	s := p.settings.Load()

	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.leader(epoch); err != nil {
		return kafka.NoOffset, err
	}
	role, err := p.mayAppend(s, true)
	if err != nil {
		return kafka.NoOffset, err
	}
	switch {
	case marker != nil:
		m := Marker{Producer: h.ProducerID, Epoch: h.ProducerEpoch, CoordinatorEpoch: marker.CoordinatorEpoch, Commit: marker.Commit}
		if needed, err := p.producers.checkMarker(&m); err != nil || !needed {
			return p.end, err
		}
	case h.ProducerID >= 0:
		if err := p.producers.checkInternal(&h); err != nil {
			return kafka.NoOffset, err
		}
	}
	if _, err := p.writeLocked(l, s, role, batch, &h, marker, now, ack{}); err != nil {
		return kafka.NoOffset, err
	}
	return p.end, nil
}

// internalBatch reads what a coordinator has built; marker is nil unless it ends a transaction.
func internalBatch(batch record.Batches) (h record.Header, marker *record.EndTxnMarker, err error) {
	h, ok := record.ParseHeader(batch)
	if !ok {
		return h, nil, kafka.Errorf(kafka.CorruptMessage, "a batch of %d bytes has no header", len(batch))
	}
	if !h.IsControl() {
		return h, nil, nil
	}
	for r, err := range record.Records(batch, 0) {
		if err != nil {
			return h, nil, err
		}
		if m, ok, err := record.ParseEndTxnMarker(&r); err != nil || ok {
			return h, &m, err
		}
	}
	return h, nil, kafka.Errorf(kafka.InvalidRecord, "a control batch of a coordinator ends no transaction")
}

// checkInternal is check and checkTxn for what a coordinator writes in a producer's transaction: it has no sequence and needs no guard, for the
// coordinator has asked already.
func (t *producers) checkInternal(h *record.Header) error {
	if p := t.byID[h.ProducerID]; p != nil && h.ProducerEpoch < p.epoch {
		return kafka.Errorf(kafka.InvalidProducerEpoch, "producer %d writes with epoch %d, but epoch %d has taken over: start the producer anew", p.id, h.ProducerEpoch, p.epoch)
	}
	return t.checkTxn(h, TxnGuard{}, false)
}
