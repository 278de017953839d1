package partition

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// TxnGuard lets the first batch of a transaction in (KIP-890). It is taken before the coordinator is asked whether the transaction is open
// and has this partition, and it is void once a marker of the producer comes in between: a transaction that was verified and then aborted
// must not be opened again by a late batch. The zero value lets nothing in.
type TxnGuard struct{ n uint64 }

// maxGuards bounds the transactions of one partition that are between question and first batch, at some 100 bytes each. At the limit the
// guard that was taken first is void: its batch is refused with INVALID_TXN_STATE.
const maxGuards = 10_000

// guards are what is known of producers whose transaction is about to begin here. Like a producer, one that is silent for too long is
// forgotten.
type guards struct {
	byID  map[kafka.ProducerID]*guarded
	order []guardedAt // by age; an entry whose guard is no longer the producer's own is skipped
	last  uint64
}

type guardedAt struct {
	producer kafka.ProducerID
	guard    TxnGuard
}

// guarded is one producer.
type guarded struct {
	guard TxnGuard
	epoch kafka.ProducerEpoch
	// lowest is the lowest sequence that was seen in that epoch. A batch with a higher one must not begin the transaction, or the lower
	// could never come in.
	lowest  kafka.Sequence
	strict  bool // the client is of transaction version 2: a producer that is not known here begins with sequence 0
	touched kafka.Timestamp
}

// take returns the producer's guard, the same until its transaction begins or a marker comes.
func (g *guards) take(id kafka.ProducerID, epoch kafka.ProducerEpoch, sequence kafka.Sequence, strict bool, now kafka.Timestamp) TxnGuard {
	e := g.byID[id]
	switch {
	case e == nil:
		e = g.insert(id)
		e.epoch, e.lowest = epoch, sequence
	case epoch > e.epoch:
		e.epoch, e.lowest = epoch, sequence
	case epoch == e.epoch && sequence < e.lowest:
		e.lowest = sequence
	}
	e.strict, e.touched = strict, now
	return e.guard
}

func (g *guards) insert(id kafka.ProducerID) *guarded {
	if g.byID == nil {
		g.byID = map[kafka.ProducerID]*guarded{}
	}
	for len(g.byID) >= maxGuards {
		g.dropOldest()
	}
	if len(g.order) >= 2*maxGuards {
		g.tidy()
	}
	g.last++
	e := &guarded{guard: TxnGuard{g.last}}
	g.byID[id] = e
	g.order = append(g.order, guardedAt{id, e.guard})
	return e
}

// check decides whether a batch may begin a transaction. fresh says that nothing of the producer's epoch is known here.
func (g *guards) check(h *record.Header, guard TxnGuard, fresh bool) error {
	e := g.byID[h.ProducerID]
	switch {
	case e == nil || guard == TxnGuard{} || e.guard != guard:
		return kafka.Errorf(kafka.InvalidTxnState, "the batch of producer %d belongs to no transaction that has this partition", h.ProducerID)
	case e.strict && fresh && h.BaseSequence > 0:
		return kafka.Errorf(kafka.OutOfOrderSequenceNumber, "producer %d is not known here and begins with sequence %d instead of 0", h.ProducerID, h.BaseSequence)
	case e.epoch == h.ProducerEpoch && h.BaseSequence > e.lowest:
		return kafka.Errorf(kafka.OutOfOrderSequenceNumber, "producer %d begins its transaction with sequence %d, but %d was seen and comes first", h.ProducerID, h.BaseSequence, e.lowest)
	}
	return nil
}

// drop makes the producer's guard void.
func (g *guards) drop(id kafka.ProducerID) {
	if g.byID != nil {
		delete(g.byID, id)
	}
	if len(g.byID) == 0 {
		g.order = nil
	}
}

// expire drops the guards that nobody has asked for since the given time.
func (g *guards) expire(before kafka.Timestamp) {
	for id, e := range g.byID {
		if e.touched <= before {
			g.drop(id)
		}
	}
}

func (g *guards) dropOldest() {
	for len(g.order) > 0 {
		at := g.order[0]
		g.order = g.order[1:]
		if e := g.byID[at.producer]; e != nil && e.guard == at.guard {
			g.drop(at.producer)
			return
		}
	}
}

func (g *guards) tidy() {
	live := make([]guardedAt, 0, len(g.byID))
	for _, at := range g.order {
		if e := g.byID[at.producer]; e != nil && e.guard == at.guard {
			live = append(live, at)
		}
	}
	g.order = live
}

// GuardTxn asks whether the next batch of a producer, with that sequence, needs to be verified with the transaction's coordinator: needed
// is true if the producer has no open transaction here. The guard is then to be given to AppendAsLeader with the batch once the coordinator
// has said that the transaction has this partition. strict is for clients of transaction version 2, which begin every epoch with sequence 0.
//
// Errors: NotLeaderOrFollower, InvalidProducerEpoch, ConcurrentTransactions while the transaction of an older epoch awaits its marker,
// KafkaStorageError.
func (p *Partition) GuardTxn(id kafka.ProducerID, epoch kafka.ProducerEpoch, sequence kafka.Sequence, strict bool, now kafka.Timestamp) (guard TxnGuard, needed bool, err error) {
	if _, err := p.leader(kafka.NoEpoch); err != nil {
		return guard, false, err
	}
	if _, err := p.load(); err != nil {
		return guard, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.producers.byID[id]; known != nil {
		if err := known.checkEpoch(epoch); err != nil {
			return guard, false, err
		}
		if known.isOpen && known.epoch == epoch {
			return guard, false, nil
		}
		if known.isOpen {
			return guard, false, errConcurrent
		}
	}
	return p.producers.guards.take(id, epoch, sequence, strict, now), true, nil
}

// TxnOngoing reports whether the producer has a transaction open here in that epoch. It is false as long as the partition is not in use.
func (p *Partition) TxnOngoing(id kafka.ProducerID, epoch kafka.ProducerEpoch) bool {
	if !p.loaded.Load() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.producers.byID[id]
	return known != nil && known.isOpen && known.epoch == epoch
}
