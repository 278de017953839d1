package record

import (
	"io"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Validate checks what a producer sent for one partition: exactly one whole batch whose CRC is right and whose header is consistent, which
// obeys the topic's rules. now is the broker's clock. The Batches returned alias b unless they had to be compressed in another way, and the
// Header is theirs. It allocates nothing unless the rules need the records or an error is returned.
//
// Errors carry Kafka's codes: CorruptMessage (not a batch, or damaged), InvalidRecord (no batch or several, message format v0 or v1 as in
// Kafka 4, counts, control batches, sequences, keys, records beyond the limit decompressed), MessageTooLarge, InvalidTimestamp,
// UnsupportedCompressionType. Kafka walks every record; here an uncompressed batch is always walked by lengths, a compressed one only if
// the rules ask (REC-4).
func Validate(b Batches, r *Rules, now kafka.Timestamp) (Batches, Header, error) {
	return ValidateAsking(b, r, now, nil)
}

// ValidateAsking is Validate for topics with Rules.Delays: it also collects in asked, which is empty, the times for which the records ask. A header
// that asks for no time that can be understood is kafka.InvalidRecord.
func ValidateAsking(b Batches, r *Rules, now kafka.Timestamp, asked *Asked) (Batches, Header, error) {
	h, err := onlyBatch(b, r)
	if err != nil {
		return nil, h, err
	}
	if err := checkCRC(&h, b); err != nil {
		return nil, h, err
	}
	if err := checkProduced(&h); err != nil {
		return nil, h, err
	}
	if err := r.checkTimestamp(h.BaseTimestamp, now, "base timestamp"); err != nil {
		return nil, h, err
	}
	if err := r.checkTimestamp(h.MaxTimestamp, now, "timestamp"); err != nil {
		return nil, h, err
	}
	switch {
	case r.rewrites(&h):
		if b, err = recompress(b, &h, r, now, asked); err != nil {
			return nil, h, err
		}
		h, _ = ParseHeader(b)
		return b, h, nil
	case r.walks(b, &h):
		err = checkRecords(b, &h, r, now, nil, asked)
	case h.Codec() == None:
		err = hop(b[HeaderSize:], h.Records)
	}
	if err != nil {
		return nil, h, err
	}
	return b, h, nil
}

// onlyBatch reads the one batch that b must be.
func onlyBatch(b Batches, r *Rules) (Header, error) {
	if len(b) == 0 {
		return Header{}, kafka.Errorf(kafka.InvalidRecord, "a produce request must have one record batch for each partition, and has none")
	}
	h, err := frame(b)
	if kafka.CodeOf(err) == kafka.UnsupportedForMessageFormat {
		// Kafka 4 answers produce requests like this; the other code is kept for logs on disk.
		return h, kafka.Errorf(kafka.InvalidRecord, "produce requests may hold only record batches of magic 2, not messages of magic %d", h.Magic)
	}
	if err != nil {
		return h, err
	}
	if r.MaxBatchBytes > 0 && h.Size() > r.MaxBatchBytes {
		return h, kafka.Errorf(kafka.MessageTooLarge, "the batch has %d bytes, the topic takes %d: send smaller batches or raise max.message.bytes", h.Size(), r.MaxBatchBytes)
	}
	if h.Size() < len(b) {
		return h, kafka.Errorf(kafka.InvalidRecord, "a produce request must have exactly one record batch for each partition: %d bytes follow the first", len(b)-h.Size())
	}
	return h, nil
}

// checkProduced applies what the format asks of a producer's batch (REC-3).
func checkProduced(h *Header) error {
	switch {
	case !h.Codec().known():
		return kafka.Errorf(kafka.UnsupportedCompressionType, "unknown %v: use none, gzip, snappy, lz4 or zstd", h.Codec())
	case h.Records <= 0:
		return kafka.Errorf(kafka.InvalidRecord, "the batch counts %d records: send at least one", h.Records)
	case int64(h.LastOffsetDelta)+1 != int64(h.Records):
		return kafka.Errorf(kafka.InvalidRecord, "the batch counts %d records but its last offset delta is %d", h.Records, h.LastOffsetDelta)
	case int64(h.Records) > DefaultMaxDecompressed/minRecordSize:
		return kafka.Errorf(kafka.InvalidRecord, "no batch can hold %d records", h.Records)
	case h.IsControl():
		return kafka.Errorf(kafka.InvalidRecord, "clients may not write control records")
	case h.IsReleased():
		return kafka.Errorf(kafka.InvalidRecord, "clients may not mark a batch as released: attribute bit 14 is the broker's")
	case h.HasDeleteHorizon():
		return kafka.Errorf(kafka.InvalidRecord, "clients may not set a delete horizon: that is compaction's")
	case h.IsLogAppendTime():
		return kafka.Errorf(kafka.InvalidTimestamp, "producers may not set the timestamp type to LogAppendTime")
	case h.ProducerID >= 0 && h.BaseSequence < 0:
		return kafka.Errorf(kafka.InvalidRecord, "producer %d sent base sequence %d", h.ProducerID, h.BaseSequence)
	case h.ProducerID >= 0 && h.ProducerEpoch < 0:
		return kafka.Errorf(kafka.InvalidRecord, "producer %d sent epoch %d", h.ProducerID, h.ProducerEpoch)
	case h.ProducerID < 0 && h.IsTransactional():
		// Without a producer id the sequence does not matter: some clients leave 0 in it, and Kafka takes that.
		return kafka.Errorf(kafka.InvalidRecord, "a transactional batch needs a producer id")
	}
	return nil
}

// checkRecords walks every record: shapes, offset deltas 0 to n-1, keys and timestamps where the rules ask. What was walked is also written
// to copyTo, and what records ask is noted in asked, if there is one.
func checkRecords(b Batches, h *Header, r *Rules, now kafka.Timestamp, copyTo io.Writer, asked *Asked) error {
	w, err := walkRecords(h, b[HeaderSize:], r.MaxDecompressed, copyTo)
	defer w.close()
	if err != nil {
		return asInvalidRecord(err)
	}
	w.asking = asked != nil
	if r.RequireKeys || w.asking {
		w.maxTaken = int64(max(MaxCompacted, r.MaxBatchBytes))
	}
	for i := int32(0); ; i++ {
		rec, err := w.next()
		switch {
		case err == io.EOF && i == h.Records:
			return nil
		case err == io.EOF:
			return kafka.Errorf(kafka.InvalidRecord, "the batch counts %d records and holds %d", h.Records, i)
		case err != nil:
			return asInvalidRecord(damagedRecord(i, h, err))
		case i == h.Records:
			return kafka.Errorf(kafka.InvalidRecord, "the batch holds more than the %d records it counts", h.Records)
		case rec.offsetDelta != i:
			return kafka.Errorf(kafka.InvalidRecord, "record %d has offset delta %d", i, rec.offsetDelta)
		case r.RequireKeys && !rec.hasKey:
			return kafka.Errorf(kafka.InvalidRecord, "record %d has no key: a compacted topic needs one in every record", i)
		}
		if err := r.checkTimestamp(h.BaseTimestamp+kafka.Timestamp(rec.timestampDelta), now, "timestamp"); err != nil {
			return err
		}
		if asked != nil {
			if err := asked.note(i, &rec, now); err != nil {
				return err
			}
		}
	}
}

// damagedRecord says which record cannot be read. Errors that carry a code keep it.
func damagedRecord(i int32, h *Header, err error) error {
	switch err {
	case errRecordShort, errRecordLength, errRecordField, errVarint:
		return kafka.Errorf(kafka.CorruptMessage, "record %d of the batch at offset %d cannot be read: %w", i, h.BaseOffset, err)
	}
	return damaged(h.Codec(), err)
}

// asInvalidRecord turns CorruptMessage, on which clients send the same bytes again, into InvalidRecord: the CRC was right, so the producer
// itself wrote the records like this.
func asInvalidRecord(err error) error {
	if kafka.CodeOf(err) == kafka.CorruptMessage {
		return kafka.Errorf(kafka.InvalidRecord, "%w", err)
	}
	return err
}
