package partition

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// rememberedBatches is how many batches of each producer can be repeated without harm. An idempotent client keeps at most five
// requests in flight per connection, so a repeat is always among the last five.
const rememberedBatches = 5

// maxProducers bounds the producers of one partition, at some 200 bytes each. At the limit the one that has been silent longest is
// forgotten (Stats.ProducersEvicted): its next batch is taken at any sequence, as from a producer that expired.
const maxProducers = 50_000

// producers is what a partition knows of its idempotent producers (PAR-3). It is pure: the partition's lock guards it, and the time
// comes with each call.
type producers struct {
	byID           map[kafka.ProducerID]*producer
	oldest, newest *producer // a list in the order of the last append
	limit          int
	evicted        int64 // forgotten because of the limit
}

// producer is one producer id.
type producer struct {
	id           kafka.ProducerID
	epoch        kafka.ProducerEpoch
	count        int8            // batches[:count] are set, oldest first
	touched      kafka.Timestamp // the broker's time of its last append
	batches      [rememberedBatches]producedBatch
	older, newer *producer
}

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
// one starts a new epoch at 0 and goes on without gaps in its epoch.
func (t *producers) check(h *record.Header) (repeat producedBatch, isRepeat bool, err error) {
	p := t.byID[h.ProducerID]
	if p == nil {
		return repeat, false, nil
	}
	if h.ProducerEpoch < p.epoch {
		return repeat, false, kafka.Errorf(kafka.InvalidProducerEpoch, "producer %d writes with epoch %d, but epoch %d has taken over: start the producer anew", p.id, h.ProducerEpoch, p.epoch)
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
	if p.count > 0 {
		if want := p.batches[p.count-1].nextSequence(); h.BaseSequence != want {
			return repeat, false, kafka.Errorf(kafka.OutOfOrderSequenceNumber, "producer %d in epoch %d sends sequence %d, expected is %d", p.id, p.epoch, h.BaseSequence, want)
		}
	}
	return repeat, false, nil
}

// add takes in a batch that is in the log at base. It asks nothing: check did, or the batch comes from our own log. A batch without
// sequence (a transaction marker of an imported log) counts for its epoch only.
func (t *producers) add(h *record.Header, base kafka.Offset, now kafka.Timestamp) {
	p := t.byID[h.ProducerID]
	if p == nil {
		p = t.insert(h.ProducerID, h.ProducerEpoch)
	}
	if h.ProducerEpoch != p.epoch {
		p.epoch, p.count = h.ProducerEpoch, 0
	}
	p.touched = now
	t.moveToNewest(p)
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

// expire forgets the producers whose last append is at or before the given time, and says how many.
func (t *producers) expire(before kafka.Timestamp) int {
	n := 0
	for t.oldest != nil && t.oldest.touched <= before {
		t.forget(t.oldest)
		n++
	}
	return n
}

func (t *producers) insert(id kafka.ProducerID, epoch kafka.ProducerEpoch) *producer {
	if t.byID == nil {
		t.byID = map[kafka.ProducerID]*producer{}
	}
	if len(t.byID) >= t.limit {
		t.forget(t.oldest)
		t.evicted++
	}
	p := &producer{id: id, epoch: epoch}
	t.byID[id] = p
	t.link(p)
	return p
}

func (t *producers) forget(p *producer) {
	t.unlink(p)
	delete(t.byID, p.id)
}

func (t *producers) moveToNewest(p *producer) {
	if t.newest != p {
		t.unlink(p)
		t.link(p)
	}
}

func (t *producers) link(p *producer) {
	p.older, p.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = p
	} else {
		t.oldest = p
	}
	t.newest = p
}

func (t *producers) unlink(p *producer) {
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		t.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		t.newest = p.older
	}
	p.older, p.newer = nil, nil
}

// ProducerState is one producer of a partition, for DescribeProducers.
type ProducerState struct {
	ID            kafka.ProducerID
	Epoch         kafka.ProducerEpoch
	LastSequence  kafka.Sequence  // NoSequence: none in this epoch
	LastTimestamp kafka.Timestamp // max timestamp of its last batch, NoTimestamp if none
	Coordinator   int32           // coordinator epoch, -1
	TxnStart      kafka.Offset    // first offset of its open transaction, NoOffset
}

func (t *producers) list() []ProducerState {
	all := make([]ProducerState, 0, len(t.byID))
	for p := t.oldest; p != nil; p = p.newer {
		s := ProducerState{
			ID: p.id, Epoch: p.epoch, LastSequence: kafka.NoSequence, LastTimestamp: kafka.NoTimestamp,
			Coordinator: -1, TxnStart: kafka.NoOffset,
		}
		if p.count > 0 {
			last := &p.batches[p.count-1]
			s.LastSequence, s.LastTimestamp = last.lastSequence(), last.timestamp
		}
		all = append(all, s)
	}
	return all
}
