package partition

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// The snapshot of producers is the sidecar blob "producers": big endian, integrity is the sidecar's.
//
//	version 1 byte (2) | offset 8 | count 4 | count times:
//	  producer id 8 | epoch 2 | last append 8 (ms) | batches 1 (0..5) | coordinator epoch 4 | latest timestamp 8 | open since 8 (-1: not) |
//	  batches times:
//	    base offset 8 | max timestamp 8 | first sequence 4 | last sequence - first 4
//	aborted transactions known from offset 8 | count 4 | count times:
//	  producer id 8 | first offset 8 | offset of the marker 8 | stable offset then 8
//
// It holds the state of the log below offset. Producers without an open transaction stand first, in the order of their last append, then
// those with one, in the order of its first offset; aborted transactions in the order of their markers.
//
// Version 1 is of a time without transactions: the fields from the coordinator's epoch up to the batches, and the aborted transactions,
// are not there.
const (
	producersBlob     = "producers"
	producersVersion  = 2
	producersPlain    = 1 // without transactions
	producersHeader   = 1 + 8 + 4
	producerPlain     = 8 + 2 + 8 + 1
	producerBytes     = producerPlain + 4 + 8 + 8
	producerBatchSize = 8 + 8 + 4 + 4
	abortedHeader     = 8 + 4
	abortedBytes      = 4 * 8
)

var errSnapshot = errors.New("this is no snapshot of producers that this version can read")

func (t *producers) encode(offset kafka.Offset) []byte {
	be := binary.BigEndian
	b := make([]byte, 0, producersHeader+len(t.byID)*(producerBytes+rememberedBatches*producerBatchSize)+abortedHeader+len(t.aborted.entries)*abortedBytes)
	b = append(b, producersVersion)
	b = be.AppendUint64(b, uint64(offset))
	b = be.AppendUint32(b, uint32(len(t.byID)))
	for p := range t.all {
		b = be.AppendUint64(b, uint64(p.id))
		b = be.AppendUint16(b, uint16(p.epoch))
		b = be.AppendUint64(b, uint64(p.touched))
		b = append(b, byte(p.count))
		b = be.AppendUint32(b, uint32(p.coordinator))
		b = be.AppendUint64(b, uint64(p.latest))
		b = be.AppendUint64(b, uint64(p.txnStart))
		for i := range p.count {
			batch := &p.batches[i]
			b = be.AppendUint64(b, uint64(batch.base))
			b = be.AppendUint64(b, uint64(batch.timestamp))
			b = be.AppendUint32(b, uint32(batch.first))
			b = be.AppendUint32(b, uint32(batch.delta))
		}
	}
	b = be.AppendUint64(b, uint64(t.aborted.known))
	b = be.AppendUint32(b, uint32(len(t.aborted.entries)))
	for _, a := range t.aborted.entries {
		b = be.AppendUint64(b, uint64(a.producer))
		b = be.AppendUint64(b, uint64(a.first))
		b = be.AppendUint64(b, uint64(a.last))
		b = be.AppendUint64(b, uint64(a.stable))
	}
	return b
}

// below is what t would say had nothing at or above offset been appended, as far as it can tell: of a producer whose remembered batches all
// lie above it says nothing, for they have pushed out what was known before, except that its transaction was open. Every marker that is not
// committed must still be remembered as ended, and all of those lie at or above offset.
func (t *producers) below(offset kafka.Offset) *producers {
	before := map[kafka.ProducerID]endedTxn{} // transactions that were open then and have ended
	for _, e := range t.ended {
		if e.first < offset && offset <= e.last {
			before[e.producer] = e
		}
	}
	known := newProducers()
	var open []*producer
	for p := range t.all {
		ended, wasOpen := before[p.id]
		delete(before, p.id)
		since := ended.first
		if p.isOpen && p.txnStart < offset {
			since, wasOpen = p.txnStart, true
		}
		n := int8(0)
		for n < p.count && p.batches[n].next() <= offset {
			n++
		}
		if n == 0 && p.count > 0 && !wasOpen {
			continue
		}
		q := known.insert(p.id, p.epoch)
		q.touched, q.count, q.batches, q.coordinator, q.latest = p.touched, n, p.batches, p.coordinator, p.latest
		if n > 0 {
			q.latest = p.batches[n-1].timestamp
		}
		if ended.last > 0 {
			if q.coordinator = ended.coordinator; q.epoch != ended.epoch {
				q.epoch, q.count = ended.epoch, 0
			}
		}
		if wasOpen {
			q.txnStart = since
			open = append(open, q)
		}
	}
	for id, ended := range before { // forgotten since
		q := known.insert(id, ended.epoch)
		q.coordinator, q.txnStart = ended.coordinator, ended.first
		open = append(open, q)
	}
	slices.SortFunc(open, func(a, b *producer) int { return cmp.Compare(a.txnStart, b.txnStart) })
	for _, q := range open {
		known.begin(q, q.txnStart)
	}
	known.aborted = abortedTxns{entries: t.aborted.entries[:t.aborted.from(offset)], known: min(t.aborted.known, offset)}
	return known
}

// decodeProducers reads what encode wrote, of this version or the one before. It takes memory in proportion to the bytes it is given.
func decodeProducers(b []byte) (*producers, kafka.Offset, error) {
	if len(b) < producersHeader || b[0] != producersVersion && b[0] != producersPlain {
		return nil, 0, errSnapshot
	}
	plain := b[0] == producersPlain
	least := producerBytes
	if plain {
		least = producerPlain
	}
	offset := kafka.Offset(binary.BigEndian.Uint64(b[1:]))
	count := int64(binary.BigEndian.Uint32(b[9:]))
	b = b[producersHeader:]
	if offset < 0 || count*int64(least) > int64(len(b)) {
		return nil, 0, errSnapshot
	}
	t := newProducers()
	t.limit = max(t.limit, int(count))
	ok := true
	for range count {
		if b, ok = t.decodeOne(b, plain, offset); !ok {
			return nil, 0, errSnapshot
		}
	}
	t.limit = maxProducers
	if !plain {
		b, ok = t.aborted.decode(b, offset)
	}
	if !ok || len(b) != 0 {
		return nil, 0, errSnapshot
	}
	return t, offset, nil
}

// decodeOne takes a producer off the front of b.
func (t *producers) decodeOne(b []byte, plain bool, offset kafka.Offset) (rest []byte, ok bool) {
	be := binary.BigEndian
	if len(b) < producerPlain || !plain && len(b) < producerBytes {
		return nil, false
	}
	id, epoch := kafka.ProducerID(be.Uint64(b)), kafka.ProducerEpoch(be.Uint16(b[8:]))
	touched, batches := kafka.Timestamp(be.Uint64(b[10:])), int(b[18])
	b = b[producerPlain:]
	if id < 0 || epoch < 0 || batches > rememberedBatches || t.byID[id] != nil {
		return nil, false
	}
	p := t.insert(id, epoch)
	p.touched, p.count = touched, int8(batches)
	txnStart := kafka.NoOffset
	if !plain {
		p.coordinator, p.latest, txnStart = int32(be.Uint32(b)), kafka.Timestamp(be.Uint64(b[4:])), kafka.Offset(be.Uint64(b[12:]))
		b = b[producerBytes-producerPlain:]
	}
	if len(b) < batches*producerBatchSize {
		return nil, false
	}
	for i := range batches {
		batch := producedBatch{
			base:      kafka.Offset(be.Uint64(b)),
			timestamp: kafka.Timestamp(be.Uint64(b[8:])),
			first:     kafka.Sequence(be.Uint32(b[16:])),
			delta:     int32(be.Uint32(b[20:])),
		}
		if batch.base < 0 || batch.first < 0 || batch.delta < 0 || batch.base > math.MaxInt64-kafka.Offset(batch.delta)-1 {
			return nil, false
		}
		p.batches[i] = batch
		b = b[producerBatchSize:]
		if plain {
			p.latest = batch.timestamp
		}
	}
	last := t.open.newest
	switch {
	case txnStart < kafka.NoOffset, txnStart >= offset, txnStart == kafka.NoOffset && last != nil, txnStart >= 0 && last != nil && txnStart <= last.txnStart:
		return nil, false
	case txnStart >= 0:
		t.begin(p, txnStart)
	}
	return b, true
}

// decode takes the aborted transactions off the front of b.
func (a *abortedTxns) decode(b []byte, offset kafka.Offset) (rest []byte, ok bool) {
	be := binary.BigEndian
	if len(b) < abortedHeader {
		return nil, false
	}
	known, count := kafka.Offset(be.Uint64(b)), int64(be.Uint32(b[8:]))
	b = b[abortedHeader:]
	if known < 0 || count > maxAborted || count*abortedBytes > int64(len(b)) {
		return nil, false
	}
	a.known = known
	if count > 0 {
		a.entries = make([]abortedTxn, 0, count)
	}
	least := known
	for range count {
		t := abortedTxn{
			producer: kafka.ProducerID(be.Uint64(b)), first: kafka.Offset(be.Uint64(b[8:])),
			last: kafka.Offset(be.Uint64(b[16:])), stable: kafka.Offset(be.Uint64(b[24:])),
		}
		if t.producer < 0 || t.first < 0 || t.first >= t.last || t.last < least || t.last >= offset || t.stable < 0 || t.stable > t.last+1 {
			return nil, false
		}
		a.entries = append(a.entries, t)
		least = t.last + 1
		b = b[abortedBytes:]
	}
	return b, true
}
