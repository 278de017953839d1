package partition

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// rememberedBatches is how many batches of each producer can be repeated without harm. An idempotent client keeps at most five
// requests in flight per connection, so a repeat is always among the last five.
const rememberedBatches = 5

// maxProducers bounds the producers of one partition, at some 250 bytes each. At the limit the one that has been silent longest is
// forgotten (Stats.ProducersEvicted): its next batch is taken at any sequence, as from a producer that expired. A producer with an open
// transaction is never forgotten; of these there are at most maxOpen (openTooMany).
const (
	maxProducers = 50_000
	maxOpen      = maxProducers / 2
)

// producers is what a partition knows of its idempotent producers (PAR-3) and their transactions. It is pure: the partition's lock
// guards it, and the time comes with each call.
type producers struct {
	byID    map[kafka.ProducerID]*producer
	idle    producerList // without an open transaction, in the order of their last append: they expire from the front
	open    producerList // with one, in the order of its first offset
	aborted abortedTxns
	ended   []endedTxn // whose marker may not be committed yet, in the order of the markers
	guards  guards
	limit   int
	evicted int64 // forgotten because of the limit
}

// producer is one producer id.
type producer struct {
	id           kafka.ProducerID
	epoch        kafka.ProducerEpoch
	count        int8            // batches[:count] are set, oldest first
	isOpen       bool            // a transaction is open, since txnStart
	coordinator  int32           // epoch of the coordinator that wrote the last marker, noCoordinator if none did
	touched      kafka.Timestamp // the broker's time of its last append
	latest       kafka.Timestamp // of its last batch or marker, NoTimestamp if none
	txnStart     kafka.Offset    // of the open transaction
	batches      [rememberedBatches]producedBatch
	older, newer *producer // in idle or open
}

// noCoordinator is the coordinator epoch of a producer that no marker came for.
const noCoordinator = -1

// producedBatch is a batch that a producer has written.
type producedBatch struct {
	base      kafka.Offset
	timestamp kafka.Timestamp // its max timestamp
	first     kafka.Sequence
	delta     int32 // last offset - base, which is last sequence - first
}

func (b *producedBatch) lastSequence() kafka.Sequence { return b.first.Add(b.delta) }
func (b *producedBatch) nextSequence() kafka.Sequence { return b.lastSequence().Add(1) }
func (b *producedBatch) next() kafka.Offset           { return b.base + kafka.Offset(b.delta) + 1 }

func newProducers() *producers { return &producers{limit: maxProducers} }

// check decides whether a batch of an idempotent producer may be appended. A repeat of a remembered batch gives that batch.
//
// As Kafka since KIP-360: a producer that is not known may start at any sequence, for what was known of it may have expired; a known
// one starts a new epoch at 0, whether its first batch or the marker of its last transaction brought it, and goes on without gaps in its
// epoch.
func (t *producers) check(h *record.Header) (repeat producedBatch, isRepeat bool, err error) {
	p := t.byID[h.ProducerID]
	if p == nil {
		return repeat, false, nil
	}
	if err := p.checkEpoch(h.ProducerEpoch); err != nil {
		return repeat, false, err
	}
	if h.ProducerEpoch > p.epoch {
		if h.BaseSequence != 0 {
			return repeat, false, kafka.Errorf(kafka.OutOfOrderSequenceNumber, "producer %d begins epoch %d with sequence %d instead of 0", p.id, h.ProducerEpoch, h.BaseSequence)
		}
		return repeat, false, nil
	}
	for i := range p.count {
		if b := &p.batches[i]; b.first == h.BaseSequence && b.delta == h.LastOffsetDelta {
			return *b, true, nil
		}
	}
	want := kafka.Sequence(0)
	if p.count > 0 {
		want = p.batches[p.count-1].nextSequence()
	}
	if h.BaseSequence != want {
		return repeat, false, kafka.Errorf(kafka.OutOfOrderSequenceNumber, "producer %d in epoch %d sends sequence %d, expected is %d", p.id, p.epoch, h.BaseSequence, want)
	}
	return repeat, false, nil
}

func (p *producer) checkEpoch(epoch kafka.ProducerEpoch) error {
	if epoch < p.epoch {
		return kafka.Errorf(kafka.InvalidProducerEpoch, "producer %d writes with epoch %d, but epoch %d has taken over: start the producer anew", p.id, epoch, p.epoch)
	}
	return nil
}

// add takes in a batch of data that is in the log at base. It asks nothing: check did, or the batch comes from our own log. One without
// a sequence (a coordinator's) counts for its epoch and its transaction only.
func (t *producers) add(h *record.Header, base kafka.Offset, now kafka.Timestamp) {
	p := t.touch(h, now)
	p.latest = h.MaxTimestamp
	if h.IsTransactional() {
		t.guards.drop(h.ProducerID)
		if !p.isOpen {
			t.begin(p, base)
		}
	}
	if h.BaseSequence < 0 {
		return
	}
	if p.count == rememberedBatches {
		copy(p.batches[:], p.batches[1:])
		p.count--
	}
	p.batches[p.count] = producedBatch{base: base, timestamp: h.MaxTimestamp, first: h.BaseSequence, delta: h.LastOffsetDelta}
	p.count++
}

// touch finds or makes the producer of a batch, in the batch's epoch, and notes that it is alive.
func (t *producers) touch(h *record.Header, now kafka.Timestamp) *producer {
	p := t.byID[h.ProducerID]
	if p == nil {
		p = t.insert(h.ProducerID, h.ProducerEpoch)
	}
	if h.ProducerEpoch != p.epoch {
		p.epoch, p.count = h.ProducerEpoch, 0
	}
	p.touched = now
	if !p.isOpen {
		t.idle.moveToNewest(p)
	}
	return p
}

// expire forgets the producers without an open transaction whose last append is at or before the given time, and says how many.
func (t *producers) expire(before kafka.Timestamp) int {
	n := 0
	for t.idle.oldest != nil && t.idle.oldest.touched <= before {
		t.forget(t.idle.oldest)
		n++
	}
	t.guards.expire(before)
	return n
}

func (t *producers) insert(id kafka.ProducerID, epoch kafka.ProducerEpoch) *producer {
	if t.byID == nil {
		t.byID = map[kafka.ProducerID]*producer{}
	}
	if len(t.byID) >= t.limit && t.idle.oldest != nil {
		t.forget(t.idle.oldest)
		t.evicted++
	}
	p := &producer{id: id, epoch: epoch, coordinator: noCoordinator, latest: kafka.NoTimestamp, txnStart: kafka.NoOffset}
	t.byID[id] = p
	t.idle.link(p)
	return p
}

func (t *producers) forget(p *producer) {
	t.idle.unlink(p)
	delete(t.byID, p.id)
}

// producerList is a list in which producers stand.
type producerList struct{ oldest, newest *producer }

func (l *producerList) moveToNewest(p *producer) {
	if l.newest != p {
		l.unlink(p)
		l.link(p)
	}
}

func (l *producerList) link(p *producer) {
	p.older, p.newer = l.newest, nil
	if l.newest != nil {
		l.newest.newer = p
	} else {
		l.oldest = p
	}
	l.newest = p
}

func (l *producerList) unlink(p *producer) {
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		l.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		l.newest = p.older
	}
	p.older, p.newer = nil, nil
}

// ProducerState is one producer of a partition, for DescribeProducers.
type ProducerState struct {
	ID            kafka.ProducerID
	Epoch         kafka.ProducerEpoch
	LastSequence  kafka.Sequence  // NoSequence: none in this epoch
	LastTimestamp kafka.Timestamp // max timestamp of its last batch or time of its last marker, NoTimestamp if none
	Coordinator   int32           // epoch of the coordinator that wrote its last marker, -1 if there was none
	TxnStart      kafka.Offset    // first offset of its open transaction, NoOffset
}

// all visits every producer: those without an open transaction by their last append, then those with one by its first offset.
func (t *producers) all(yield func(*producer) bool) {
	for _, l := range [...]*producerList{&t.idle, &t.open} {
		for p := l.oldest; p != nil; p = p.newer {
			if !yield(p) {
				return
			}
		}
	}
}

func (t *producers) list() []ProducerState {
	all := make([]ProducerState, 0, len(t.byID))
	for p := range t.all {
		s := ProducerState{
			ID: p.id, Epoch: p.epoch, LastSequence: kafka.NoSequence, LastTimestamp: p.latest,
			Coordinator: p.coordinator, TxnStart: p.txnStart,
		}
		if p.count > 0 {
			s.LastSequence = p.batches[p.count-1].lastSequence()
		}
		all = append(all, s)
	}
	return all
}
