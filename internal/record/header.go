package record

import (
	"encoding/binary"
	"iter"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Sizes of the batch format, in bytes.
const (
	HeaderSize   = 61 // everything before the first record
	LengthOffset = 12 // base offset and length: what the length field does not count
)

// Batches are one or more whole v2 batches, back to back. Functions that take Batches borrow them.
type Batches []byte

// Attributes of a batch (bytes 21-22).
const (
	attrCodecMask     = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
	attrReleased      = 0x4000 // ours: records of a topic with delays whose time has come; Kafka's clients look at the lower byte only
)

// Header is the fixed part of a batch. Layout (big endian): base offset 8, length 4, leader epoch 4, magic 1, crc 4, attributes 2,
// last offset delta 4, base timestamp 8, max timestamp 8, producer id 8, producer epoch 2, base sequence 4, record count 4.
type Header struct {
	BaseOffset      kafka.Offset
	Length          int32 // bytes after the length field
	LeaderEpoch     kafka.LeaderEpoch
	Magic           int8
	CRC             uint32 // CRC-32C of everything from the attributes on
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   kafka.Timestamp // the delete horizon instead, if HasDeleteHorizon
	MaxTimestamp    kafka.Timestamp
	ProducerID      kafka.ProducerID
	ProducerEpoch   kafka.ProducerEpoch
	BaseSequence    kafka.Sequence
	Records         int32 // record count
}

// ParseHeader reads the header at the start of b. It checks only that b holds one; see Validate for the rest.
func ParseHeader(b []byte) (h Header, ok bool) {
	if len(b) < HeaderSize {
		return h, false
	}
	_ = b[HeaderSize-1]
	return Header{
		BaseOffset:      kafka.Offset(binary.BigEndian.Uint64(b)),
		Length:          int32(binary.BigEndian.Uint32(b[8:])),
		LeaderEpoch:     kafka.LeaderEpoch(binary.BigEndian.Uint32(b[12:])),
		Magic:           int8(b[16]),
		CRC:             binary.BigEndian.Uint32(b[17:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[21:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[23:])),
		BaseTimestamp:   kafka.Timestamp(binary.BigEndian.Uint64(b[27:])),
		MaxTimestamp:    kafka.Timestamp(binary.BigEndian.Uint64(b[35:])),
		ProducerID:      kafka.ProducerID(binary.BigEndian.Uint64(b[43:])),
		ProducerEpoch:   kafka.ProducerEpoch(binary.BigEndian.Uint16(b[51:])),
		BaseSequence:    kafka.Sequence(binary.BigEndian.Uint32(b[53:])),
		Records:         int32(binary.BigEndian.Uint32(b[57:])),
	}, true
}

// Size is the whole batch in bytes, header included.
func (h *Header) Size() int { return int(h.Length) + LengthOffset }

// LastOffset is the offset of the batch's last record.
func (h *Header) LastOffset() kafka.Offset { return h.BaseOffset + kafka.Offset(h.LastOffsetDelta) }

// NextOffset is the offset after the batch.
func (h *Header) NextOffset() kafka.Offset { return h.LastOffset() + 1 }

// LastSequence is the sequence of the batch's last record, NoSequence if the producer is not idempotent.
func (h *Header) LastSequence() kafka.Sequence {
	if h.BaseSequence < 0 {
		return kafka.NoSequence
	}
	return h.BaseSequence.Add(h.LastOffsetDelta)
}

// IsTransactional, IsControl, HasDeleteHorizon, IsLogAppendTime and IsReleased tell the attribute bits.
func (h *Header) IsTransactional() bool  { return h.Attributes&attrTransactional != 0 }
func (h *Header) IsControl() bool        { return h.Attributes&attrControl != 0 }
func (h *Header) HasDeleteHorizon() bool { return h.Attributes&attrDeleteHorizon != 0 }
func (h *Header) IsLogAppendTime() bool  { return h.Attributes&attrLogAppendTime != 0 }
func (h *Header) IsReleased() bool       { return h.Attributes&attrReleased != 0 }

// Codec is how the records are compressed.
func (h *Header) Codec() Codec { return Codec(h.Attributes & attrCodecMask) }

// All walks the batches: header and bytes of each. It stops, without an error, at the first piece that is no whole batch; who must
// know compares the bytes walked with len(b).
func (b Batches) All() iter.Seq2[Header, []byte] {
	return func(yield func(Header, []byte) bool) {
		for {
			h, ok := ParseHeader(b)
			if !ok || h.Length < HeaderSize-LengthOffset || h.Size() > len(b) {
				return
			}
			if !yield(h, b[:h.Size()]) {
				return
			}
			b = b[h.Size():]
		}
	}
}
