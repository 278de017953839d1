package partition

import (
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// endedTxn is a transaction that a marker has ended. Until the marker is committed, where it began is not stable; and should the marker be
// lost with the end of the log, the transaction is open again.
type endedTxn struct {
	producer    kafka.ProducerID
	epoch       kafka.ProducerEpoch // before the marker, as is coordinator
	coordinator int32
	first, last kafka.Offset // last is the marker's
}

// errConcurrent refuses a batch of a new epoch while the transaction of an older one is still open here: its marker is on the way. Were
// the batch taken, that marker would decide it too (T8).
var errConcurrent = kafka.Errorf(kafka.ConcurrentTransactions, "the producer's last transaction is not yet ended in this partition: retry")

// errOpenTooMany refuses a transaction because so many are open that no more should be remembered.
var errOpenTooMany = kafka.Errorf(kafka.ConcurrentTransactions, "%d transactions are open in this partition: retry", maxOpen)

// checkTxn decides what check left open: whether a batch that is no repeat fits into the producer's transaction, or may begin one. verify
// says whether only a guard lets one begin.
func (t *producers) checkTxn(h *record.Header, guard TxnGuard, verify bool) error {
	p := t.byID[h.ProducerID]
	open := p != nil && p.isOpen
	switch {
	case !h.IsTransactional():
		if open {
			return kafka.Errorf(kafka.InvalidTxnState, "producer %d writes without a transaction while one is open since offset %d", p.id, p.txnStart)
		}
		return nil
	case open && p.epoch == h.ProducerEpoch:
		return nil
	case open:
		return errConcurrent
	case len(t.byID) >= maxOpen && t.countOpen() >= maxOpen:
		return errOpenTooMany
	case verify:
		return t.guards.check(h, guard, p == nil || p.count == 0)
	}
	return nil
}

// countOpen is the number of open transactions. It walks them all, so it is asked only where there are many producers.
func (t *producers) countOpen() int {
	n := 0
	for p := t.open.oldest; p != nil; p = p.newer {
		n++
	}
	return n
}

// begins reports whether a batch that was checked opens a transaction.
func (t *producers) begins(h *record.Header) bool {
	if h.ProducerID < 0 || !h.IsTransactional() || h.IsControl() {
		return false
	}
	p := t.byID[h.ProducerID]
	return p == nil || !p.isOpen
}

func (t *producers) begin(p *producer, first kafka.Offset) {
	t.idle.unlink(p)
	p.isOpen, p.txnStart = true, first
	t.open.link(p)
}

// firstOpen is where the oldest open transaction began, noneOpen if none is.
func (t *producers) firstOpen() kafka.Offset {
	if t.open.oldest == nil {
		return noneOpen
	}
	return t.open.oldest.txnStart
}

const noneOpen kafka.Offset = math.MaxInt64

// checkMarker decides whether a marker may be appended. needed is false for the repeat of one: nothing would change.
//
// A coordinator of transaction version 2 raises the epoch with each marker, so a marker with the producer's own epoch is a late one that
// would end the next transaction (KIP-1228), unless no transaction is open, or the epoch cannot rise further.
func (t *producers) checkMarker(m *Marker) (needed bool, err error) {
	p := t.byID[m.Producer]
	if p == nil {
		return true, nil
	}
	if err := p.checkEpoch(m.Epoch); err != nil {
		return false, err
	}
	if m.Version >= 2 && m.Epoch == p.epoch && p.isOpen && p.epoch != math.MaxInt16 {
		return false, kafka.Errorf(kafka.InvalidProducerEpoch, "a marker for epoch %d of producer %d came late: a transaction of that epoch is open since offset %d", m.Epoch, p.id, p.txnStart)
	}
	if m.CoordinatorEpoch < p.coordinator {
		return false, kafka.Errorf(kafka.TransactionCoordinatorFenced, "a marker for producer %d comes from coordinator epoch %d, but epoch %d has taken over", p.id, m.CoordinatorEpoch, p.coordinator)
	}
	return p.isOpen || m.Epoch != p.epoch || m.CoordinatorEpoch != p.coordinator, nil
}

// end takes in the marker at an offset of the log, and tells the transaction that it ended; ok is false if none was open.
func (t *producers) end(h *record.Header, m record.EndTxnMarker, at kafka.Offset, now kafka.Timestamp) (ended endedTxn, ok bool) {
	t.guards.drop(h.ProducerID)
	if p := t.byID[h.ProducerID]; p != nil && p.isOpen {
		ended, ok = endedTxn{producer: p.id, epoch: p.epoch, coordinator: p.coordinator, first: p.txnStart, last: at}, true
		p.isOpen, p.txnStart = false, kafka.NoOffset
		t.open.unlink(p)
		t.idle.link(p)
	}
	p := t.touch(h, now)
	p.latest, p.coordinator = h.MaxTimestamp, m.CoordinatorEpoch
	if !ok {
		return ended, false
	}
	t.ended = append(t.ended, ended)
	if !m.Commit {
		t.aborted.add(abortedTxn{producer: p.id, first: ended.first, last: at, stable: min(t.firstOpen(), at+1)})
	}
	return ended, true
}

// committed forgets the ended transactions whose marker lies below the high watermark.
func (t *producers) committed(hw kafka.Offset) {
	n := 0
	for n < len(t.ended) && t.ended[n].last < hw {
		n++
	}
	if n > 0 {
		t.ended = append(t.ended[:0], t.ended[n:]...)
	}
}

// forgetEnded keeps only so many ended transactions, the latest.
func (t *producers) forgetEnded(most int) {
	if n := len(t.ended) - most; n > 0 {
		t.ended = append(t.ended[:0], t.ended[n:]...)
	}
}

// fold takes in a batch of our own log.
func (t *producers) fold(h *record.Header, batch []byte, now kafka.Timestamp) error {
	switch {
	case h.ProducerID < 0:
		return nil
	case !h.IsControl() || !h.IsTransactional(): // a batch of held records is its producer's, though a control batch
		t.add(h, h.BaseOffset, now)
		return nil
	}
	for r, err := range record.Records(batch, 0) {
		if err != nil {
			return err
		}
		m, ok, err := record.ParseEndTxnMarker(&r)
		if err != nil {
			return err
		}
		if ok {
			t.end(h, m, h.BaseOffset, now)
			return nil
		}
		break // there is one record in a control batch
	}
	// Compaction took the marker's record and left its epoch, or it is a control batch of another kind.
	t.touch(h, now)
	return nil
}
