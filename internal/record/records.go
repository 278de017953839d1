package record

import (
	"encoding/binary"
	"io"
	"iter"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Record is one record of a batch. A nil Key or Value is null, which is not the same as empty.
type Record struct {
	Key, Value []byte
	Headers    []RecordHeader
	Timestamp  kafka.Timestamp
	Offset     kafka.Offset
	Attributes int8 // unused by Kafka so far
}

// RecordHeader is a header of a record. A nil Value is null.
type RecordHeader struct {
	Key   string
	Value []byte
}

// Records iterates the records of the one batch that batch is. Keys and values alias batch, or, if it is compressed, a buffer that is made
// for this call and used for nothing else: they stay valid as long as batch does.
//
// The records may decompress to at most max bytes (0: DefaultMaxDecompressed, far too many for a small machine); more is
// kafka.InvalidRecord. Other errors carry kafka.CorruptMessage. An error is the last thing that is yielded. The CRC is not looked at.
func Records(batch []byte, max int) iter.Seq2[Record, error] { return Pick(batch, max, nil) }

// Pick is Records for those that are wanted by their number in the batch, from 0 on; it asks once for each, in order. The others are skipped by their
// lengths, which costs little.
func Pick(batch []byte, max int, want func(i int32) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		h, err := frame(batch)
		if err != nil {
			yield(Record{}, err)
			return
		}
		payload := batch[HeaderSize:h.Size()]
		if h.Codec() != None && len(payload) > 0 {
			if payload, err = decompress(h.Codec(), payload, limit(max)); err != nil {
				yield(Record{}, err)
				return
			}
		}
		last := int32(-1)
		for i := int32(0); i < h.Records; i++ {
			if want != nil && !want(i) {
				n, rest, ok := cutVarint(payload)
				if !ok || n < 0 || n > int64(len(rest)) {
					yield(Record{}, damagedRecord(i, &h, errRecordShort))
					return
				}
				payload = rest[n:]
				continue
			}
			var r Record
			var delta int32
			if r, delta, payload, err = cutRecord(payload, &h); err != nil {
				yield(Record{}, damagedRecord(i, &h, err))
				return
			}
			if delta <= last || delta > h.LastOffsetDelta {
				yield(Record{}, kafka.Errorf(kafka.CorruptMessage, "record %d of the batch at offset %d has offset delta %d after %d of at most %d", i, h.BaseOffset, delta, last, h.LastOffsetDelta))
				return
			}
			last = delta
			if !yield(r, nil) {
				return
			}
		}
		if len(payload) > 0 {
			yield(Record{}, kafka.Errorf(kafka.CorruptMessage, "%d bytes follow the last record of the batch at offset %d", len(payload), h.BaseOffset))
		}
	}
}

// cutRecord takes a record off the front of b.
func cutRecord(b []byte, h *Header) (r Record, delta int32, rest []byte, err error) {
	length, b, ok := cutVarint(b)
	switch {
	case !ok || length > int64(len(b)):
		return r, 0, nil, errRecordShort
	case length < minRecordSize-1:
		return r, 0, nil, errRecordLength
	}
	c := cursor{b: b[:length:length]}
	r.Attributes = int8(c.byte())
	r.Timestamp = h.BaseTimestamp + kafka.Timestamp(c.long())
	if h.IsLogAppendTime() {
		r.Timestamp = h.MaxTimestamp
	}
	delta = int32(c.number())
	r.Offset = h.BaseOffset + kafka.Offset(delta)
	r.Key = c.blob()
	r.Value = c.blob()
	headers := c.number()
	if c.err == nil && (headers < 0 || headers > int64(len(c.b))/2) {
		c.err = errRecordField
	}
	if c.err == nil && headers > 0 {
		r.Headers = make([]RecordHeader, 0, headers)
		for ; c.err == nil && headers > 0; headers-- {
			key := c.blob()
			if key == nil && c.err == nil {
				c.err = errRecordField
			}
			r.Headers = append(r.Headers, RecordHeader{Key: string(key), Value: c.blob()})
		}
	}
	if c.err == nil && len(c.b) > 0 {
		c.err = errRecordLength
	}
	return r, delta, b[length:], c.err
}

// cursor reads the fields of a record. After an error it reads zeros.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail(errRecordShort)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) number() int64 {
	v, rest, ok := cutVarint(c.b)
	if !ok {
		c.fail(errVarint)
		return 0
	}
	c.b = rest
	return v
}

func (c *cursor) long() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail(errVarint)
		return 0
	}
	c.b = c.b[n:]
	return v
}

// blob reads a length and as many bytes; -1: nil. What it returns is never nil otherwise, and cannot be appended to in place.
func (c *cursor) blob() []byte {
	n := c.number()
	switch {
	case c.err != nil || n == -1:
		return nil
	case n < -1 || n > int64(len(c.b)):
		c.fail(errRecordField)
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b = nil
}

// FindTimestamp finds the first record of a batch whose timestamp is at least ts and whose offset is at least from; NoOffset if there is
// none. No record may decompress to more than maxRecord bytes (0: DefaultMaxDecompressed). The batch is walked in constant memory.
func FindTimestamp(batch []byte, ts kafka.Timestamp, from kafka.Offset, maxRecord int) (kafka.Offset, kafka.Timestamp, error) {
	foundAt, found := kafka.NoOffset, kafka.NoTimestamp
	err := eachTimestamp(batch, maxRecord, func(o kafka.Offset, t kafka.Timestamp) (more bool) {
		if o >= from && t >= ts {
			foundAt, found = o, t
			return false
		}
		return true
	})
	return foundAt, found, err
}

// MaxTimestamp finds the first record with the largest timestamp of a batch; NoOffset if it has no records. Limits as for FindTimestamp.
func MaxTimestamp(batch []byte, maxRecord int) (kafka.Offset, kafka.Timestamp, error) {
	foundAt, found := kafka.NoOffset, kafka.NoTimestamp
	err := eachTimestamp(batch, maxRecord, func(o kafka.Offset, t kafka.Timestamp) (more bool) {
		if foundAt == kafka.NoOffset || t > found {
			foundAt, found = o, t
		}
		return true
	})
	return foundAt, found, err
}

// eachTimestamp calls each for every record of a batch until it has had enough.
func eachTimestamp(batch []byte, maxRecord int, each func(kafka.Offset, kafka.Timestamp) (more bool)) error {
	h, err := frame(batch)
	if err != nil {
		return err
	}
	w, err := walkRecords(&h, batch[HeaderSize:h.Size()], maxRecord, nil)
	defer w.close()
	if err != nil {
		return err
	}
	for i := int32(0); i < h.Records; i++ {
		rec, err := w.next()
		if err == io.EOF {
			err = errRecordShort
		}
		if err != nil {
			return damagedRecord(i, &h, err)
		}
		if rec.offsetDelta < 0 || rec.offsetDelta > h.LastOffsetDelta {
			return damagedRecord(i, &h, errRecordField)
		}
		ts := h.BaseTimestamp + kafka.Timestamp(rec.timestampDelta)
		if h.IsLogAppendTime() {
			ts = h.MaxTimestamp
		}
		if !each(h.BaseOffset+kafka.Offset(rec.offsetDelta), ts) {
			return nil
		}
	}
	return nil
}
