package partition

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
)

// The snapshot of producers is the sidecar blob "producers": big endian, integrity is the sidecar's.
//
//	version 1 byte (1) | offset 8 | count 4 | count times:
//	  producer id 8 | epoch 2 | last append 8 (ms) | batches 1 (0..5) | batches times:
//	    base offset 8 | max timestamp 8 | first sequence 4 | last sequence - first 4
//
// It holds the state of the log below offset. Producers stand in the order of their last append, oldest first.
const (
	producersBlob     = "producers"
	producersVersion  = 1
	producersHeader   = 1 + 8 + 4
	producerBytes     = 8 + 2 + 8 + 1
	producerBatchSize = 8 + 8 + 4 + 4
)

var errSnapshot = errors.New("this is no snapshot of producers that this version can read")

func (t *producers) encode(offset kafka.Offset) []byte {
	b := make([]byte, 0, producersHeader+len(t.byID)*(producerBytes+rememberedBatches*producerBatchSize))
	b = append(b, producersVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.byID)))
	for p := t.oldest; p != nil; p = p.newer {
		b = binary.BigEndian.AppendUint64(b, uint64(p.id))
		b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
		b = binary.BigEndian.AppendUint64(b, uint64(p.touched))
		b = append(b, byte(p.count))
		for i := range p.count {
			batch := &p.batches[i]
			b = binary.BigEndian.AppendUint64(b, uint64(batch.base))
			b = binary.BigEndian.AppendUint64(b, uint64(batch.timestamp))
			b = binary.BigEndian.AppendUint32(b, uint32(batch.first))
			b = binary.BigEndian.AppendUint32(b, uint32(batch.delta))
		}
	}
	return b
}

// below is what t would say had nothing at or above offset been appended, as far as it can tell: of a producer whose remembered batches all
// lie above it says nothing, for they have pushed out what was known before.
func (t *producers) below(offset kafka.Offset) *producers {
	known := newProducers()
	for p := t.oldest; p != nil; p = p.newer {
		n := int8(0)
		for n < p.count && p.batches[n].next() <= offset {
			n++
		}
		if n == 0 && p.count > 0 {
			continue
		}
		q := known.insert(p.id, p.epoch)
		q.touched, q.count, q.batches = p.touched, n, p.batches
	}
	return known
}

// decodeProducers reads what encode wrote. It takes memory in proportion to the bytes it is given.
func decodeProducers(b []byte) (*producers, kafka.Offset, error) {
	if len(b) < producersHeader || b[0] != producersVersion {
		return nil, 0, errSnapshot
	}
	offset := kafka.Offset(binary.BigEndian.Uint64(b[1:]))
	count := int64(binary.BigEndian.Uint32(b[9:]))
	b = b[producersHeader:]
	if offset < 0 || count*producerBytes > int64(len(b)) {
		return nil, 0, errSnapshot
	}
	t := newProducers()
	for range count {
		if len(b) < producerBytes {
			return nil, 0, errSnapshot
		}
		id := kafka.ProducerID(binary.BigEndian.Uint64(b))
		epoch := kafka.ProducerEpoch(binary.BigEndian.Uint16(b[8:]))
		touched := kafka.Timestamp(binary.BigEndian.Uint64(b[10:]))
		batches := int(b[18])
		b = b[producerBytes:]
		if id < 0 || epoch < 0 || batches > rememberedBatches || len(b) < batches*producerBatchSize || t.byID[id] != nil {
			return nil, 0, errSnapshot
		}
		p := t.insert(id, epoch)
		p.touched, p.count = touched, int8(batches)
		for i := range batches {
			batch := producedBatch{
				base:      kafka.Offset(binary.BigEndian.Uint64(b)),
				timestamp: kafka.Timestamp(binary.BigEndian.Uint64(b[8:])),
				first:     kafka.Sequence(binary.BigEndian.Uint32(b[16:])),
				delta:     int32(binary.BigEndian.Uint32(b[20:])),
			}
			if batch.base < 0 || batch.first < 0 || batch.delta < 0 || batch.base > math.MaxInt64-kafka.Offset(batch.delta)-1 {
				return nil, 0, errSnapshot
			}
			p.batches[i] = batch
			b = b[producerBatchSize:]
		}
	}
	if len(b) != 0 {
		return nil, 0, errSnapshot
	}
	return t, offset, nil
}
