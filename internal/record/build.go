package record

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
)

// BatchOptions are the fields of a batch that its records do not tell. The zero value names producer 0 of epoch 0: begin with
// PlainOptions.
type BatchOptions struct {
	BaseOffset      kafka.Offset // at most the offset of the first record
	LeaderEpoch     kafka.LeaderEpoch
	Codec           Codec
	Level           int // Kafka's levels; 0: the codec's default
	TimestampType   TimestampType
	ProducerID      kafka.ProducerID
	ProducerEpoch   kafka.ProducerEpoch
	BaseSequence    kafka.Sequence
	Transactional   bool
	Control         bool
	Released        bool            // its records waited for their time (ReleasedFrom)
	DeleteHorizon   kafka.Timestamp // of a compacted batch; NoTimestamp: none
	LastOffsetDelta int32           // what the batch had before compaction (REC-3); -1: that of the last record
}

// PlainOptions are those of a batch at offset 0 without a producer id, compression or a delete horizon.
func PlainOptions() BatchOptions {
	return BatchOptions{
		LeaderEpoch: kafka.NoEpoch, ProducerID: kafka.NoProducer, ProducerEpoch: -1, BaseSequence: kafka.NoSequence,
		DeleteHorizon: kafka.NoTimestamp, LastOffsetDelta: -1,
	}
}

// payloads hold scratch space in which records are encoded before they are compressed.
var payloads = sync.Pool{New: func() any { return new([]byte) }}

// Build appends to dst one batch with recs, whose offsets rise from o.BaseOffset at least, and returns dst. A batch may have no records, as
// compaction leaves it, if o.LastOffsetDelta says how many offsets it covers. Errors carry kafka.InvalidRecord or kafka.MessageTooLarge
// (2 GiB); dst is then unchanged up to its length.
func Build(dst []byte, o BatchOptions, recs []Record) ([]byte, error) {
	delta, err := lastDelta(&o, recs)
	if err != nil {
		return dst, err
	}
	base, latest := kafka.NoTimestamp, kafka.NoTimestamp
	for i := range recs {
		if i == 0 || recs[i].Timestamp > latest {
			latest = recs[i].Timestamp
		}
	}
	if len(recs) > 0 {
		base = recs[0].Timestamp
	}
	if o.DeleteHorizon != kafka.NoTimestamp {
		base = o.DeleteHorizon
	}

	if len(recs) == 0 {
		o.Codec = None // nothing is not compressed: Kafka's own empty batches are a bare header
	}
	start := len(dst)
	b := appendHeader(dst, &o, delta, base, latest, int32(len(recs)))
	if o.Codec == None {
		b = appendRecords(b, &o, base, recs)
	} else if b, err = appendCompressed(b, &o, base, recs); err != nil {
		return dst, err
	}
	if len(b)-start > maxBatchSize {
		return dst, kafka.Errorf(kafka.MessageTooLarge, "a batch of %d records has %d bytes: build smaller ones", len(recs), len(b)-start)
	}
	binary.BigEndian.PutUint32(b[start+8:], uint32(len(b)-start-LengthOffset))
	sealCRC(b[start:])
	return b, nil
}

// lastDelta checks the offsets and returns the last offset delta of the batch.
func lastDelta(o *BatchOptions, recs []Record) (int32, error) {
	next := o.BaseOffset
	for i := range recs {
		if recs[i].Offset < next {
			return 0, kafka.Errorf(kafka.InvalidRecord, "record %d has offset %d where at least %d comes next: offsets must rise", i, recs[i].Offset, next)
		}
		next = recs[i].Offset + 1
	}
	last := next - 1 - o.BaseOffset
	switch {
	case len(recs) == 0 && o.LastOffsetDelta < 0:
		return 0, kafka.Errorf(kafka.InvalidRecord, "a batch without records must say its last offset delta")
	case o.LastOffsetDelta >= 0 && last > kafka.Offset(o.LastOffsetDelta):
		return 0, kafka.Errorf(kafka.InvalidRecord, "the last record has offset delta %d, the batch ends at %d", last, o.LastOffsetDelta)
	case o.LastOffsetDelta >= 0:
		return o.LastOffsetDelta, nil
	case last >= math.MaxInt32:
		return 0, kafka.Errorf(kafka.InvalidRecord, "offset delta %d does not fit into a batch", last)
	}
	return int32(last), nil
}

// appendHeader appends the header with length and CRC yet to be written.
func appendHeader(b []byte, o *BatchOptions, delta int32, base, latest kafka.Timestamp, count int32) []byte {
	attributes := uint16(o.Codec)
	if o.TimestampType == LogAppendTime {
		attributes |= attrLogAppendTime
	}
	if o.Transactional {
		attributes |= attrTransactional
	}
	if o.Control {
		attributes |= attrControl
	}
	if o.Released {
		attributes |= attrReleased
	}
	if o.DeleteHorizon != kafka.NoTimestamp {
		attributes |= attrDeleteHorizon
	}
	be := binary.BigEndian
	b = be.AppendUint64(b, uint64(o.BaseOffset))
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, uint32(o.LeaderEpoch))
	b = append(b, magic)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint16(b, attributes)
	b = be.AppendUint32(b, uint32(delta))
	b = be.AppendUint64(b, uint64(base))
	b = be.AppendUint64(b, uint64(latest))
	b = be.AppendUint64(b, uint64(o.ProducerID))
	b = be.AppendUint16(b, uint16(o.ProducerEpoch))
	b = be.AppendUint32(b, uint32(o.BaseSequence))
	return be.AppendUint32(b, uint32(count))
}

func appendCompressed(b []byte, o *BatchOptions, base kafka.Timestamp, recs []Record) ([]byte, error) {
	scratch := payloads.Get().(*[]byte)
	defer func() {
		if cap(*scratch) <= maxKeptBuffer {
			payloads.Put(scratch)
		}
	}()
	*scratch = appendRecords((*scratch)[:0], o, base, recs)
	out := appender{buf: b}
	enc, release, err := compressor(o.Codec, o.Level, &out)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := enc.Write(*scratch); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return out.buf, nil
}

func appendRecords(b []byte, o *BatchOptions, base kafka.Timestamp, recs []Record) []byte {
	for i := range recs {
		r := &recs[i]
		ts, offset := int64(r.Timestamp-base), int64(r.Offset-o.BaseOffset)
		b = binary.AppendVarint(b, int64(fieldsSize(r, ts, offset)))
		b = append(b, byte(r.Attributes))
		b = binary.AppendVarint(b, ts)
		b = binary.AppendVarint(b, offset)
		b = appendBlob(b, r.Key)
		b = appendBlob(b, r.Value)
		b = binary.AppendVarint(b, int64(len(r.Headers)))
		for j := range r.Headers {
			b = binary.AppendVarint(b, int64(len(r.Headers[j].Key)))
			b = append(b, r.Headers[j].Key...)
			b = appendBlob(b, r.Headers[j].Value)
		}
	}
	return b
}

// fieldsSize is the length that is written before a record.
func fieldsSize(r *Record, ts, offset int64) int {
	n := 1 + varintSize(ts) + varintSize(offset) + blobSize(r.Key) + blobSize(r.Value) + varintSize(int64(len(r.Headers)))
	for i := range r.Headers {
		n += varintSize(int64(len(r.Headers[i].Key))) + len(r.Headers[i].Key) + blobSize(r.Headers[i].Value)
	}
	return n
}

func appendBlob(b, v []byte) []byte {
	if v == nil {
		return append(b, 1) // -1
	}
	b = binary.AppendVarint(b, int64(len(v)))
	return append(b, v...)
}

func blobSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int64(len(v))) + len(v)
}

func varintSize(v int64) int {
	n := 1
	for u := uint64(v)<<1 ^ uint64(v>>63); u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
