package coordinator

import (
	"fmt"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// maxBatch is the most bytes of keys and values in one batch: what Kafka's internal topics take by default (max.message.bytes, 1,048,588 bytes with
// the overhead of the batch).
const maxBatch = 1_000_000

// encoder turns the records of operations into batches. Its memory is used again.
type encoder struct {
	bytes   []byte // keys and values, one after the other
	spans   []span
	records []record.Record
	batch   []byte
}

// span is where a record's key and value are in encoder.bytes.
type span struct {
	key, value, end int
	tombstone       bool
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// release gives the encoder back unless it has grown.
func (e *encoder) release() {
	if cap(e.bytes)+cap(e.batch) > 4*maxBatch {
		return
	}
	clear(e.records)
	encoders.Put(e)
}

// encode makes a batch of as many records as fit, and says how many those are. atomic: all of them, or an error.
func (e *encoder) encode(records []Record, p Producer, atomic bool, now kafka.Timestamp) (batch []byte, n int, err error) {
	e.bytes, e.spans, e.records = e.bytes[:0], e.spans[:0], e.records[:0]
	for _, r := range records {
		s := span{key: len(e.bytes)}
		e.bytes = r.AppendKey(e.bytes)
		s.value = len(e.bytes)
		var has bool
		e.bytes, has = r.AppendValue(e.bytes)
		s.tombstone = !has
		s.end = len(e.bytes)
		if s.end > maxBatch && n > 0 && !atomic {
			break
		}
		if s.end > maxBatch {
			return nil, 0, fmt.Errorf("the records of one operation take more than %d bytes: %w", maxBatch, kafka.MessageTooLarge)
		}
		e.spans = append(e.spans, s)
		n++
	}
	for i, s := range e.spans {
		r := record.Record{Key: e.bytes[s.key:s.value:s.value], Offset: kafka.Offset(i), Timestamp: now}
		if !s.tombstone {
			r.Value = e.bytes[s.value:s.end:s.end]
		}
		e.records = append(e.records, r)
	}
	o := record.PlainOptions()
	if p.ID != kafka.NoProducer {
		o.ProducerID, o.ProducerEpoch, o.Transactional = p.ID, p.Epoch, true
	}
	e.batch, err = record.Build(e.batch[:0], o, e.records)
	return e.batch, n, err
}
