package record

import (
	"encoding/binary"
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Held is a batch with records whose time has not come, as it stands in the log: a control batch, which clients skip, with one control record. Its
// header has the producer, the sequence and the offsets of the batch that was sent, so that an idempotent producer's batch counts as its own.
//
// The key is version 0 and type HeldRecords, each 2 bytes. The value, big endian:
//
//	version 2 (0) | flags 1 (bit 0: moved) | appended 8 (ms) | count 4 | count times:
//	  due uvarint (0: asked for nothing; else due - appended + 1) | size uvarint |
//	  if moved: origin uvarint | was uvarint
//	batch
type Held struct {
	Appended kafka.Timestamp
	Records  []HeldRecord // one for each record of Batch, in its order
	Batch    Batches      // as it was sent; its own offsets mean nothing
}

// HeldRecord is one record of a Held. Its offset is the base offset of the control batch plus its index.
type HeldRecord struct {
	Due  kafka.Timestamp // not before Appended; NoTimestamp: it asked for nothing and is due at once
	Size uint32          // bytes
	// Of a record that the broker had to move, since what stood before it was to be deleted; else NoOffset.
	Origin kafka.Offset // what the producer was told
	Was    kafka.Offset // where it waited until then
}

const (
	heldMoved  = 1
	heldHeader = 2 + 1 + 8 + 4
)

// BuildHeld appends to dst the control batch that holds held, whose Batch has the header h, and returns dst.
func BuildHeld(dst []byte, h *Header, held *Held) ([]byte, error) {
	be := binary.BigEndian
	value := make([]byte, 0, heldHeader+8*len(held.Records)+len(held.Batch))
	value = be.AppendUint16(value, 0)
	flags := byte(0)
	if len(held.Records) > 0 && held.Records[0].Was != kafka.NoOffset {
		flags |= heldMoved
	}
	value = append(value, flags)
	value = be.AppendUint64(value, uint64(held.Appended))
	value = be.AppendUint32(value, uint32(len(held.Records)))
	for i := range held.Records {
		r := &held.Records[i]
		due := uint64(0)
		if r.Due != kafka.NoTimestamp {
			due = uint64(max(r.Due-held.Appended, 0)) + 1
		}
		value = binary.AppendUvarint(value, due)
		value = binary.AppendUvarint(value, uint64(r.Size))
		if flags&heldMoved != 0 {
			value = binary.AppendUvarint(value, uint64(r.Origin))
			value = binary.AppendUvarint(value, uint64(r.Was))
		}
	}
	value = append(value, held.Batch...)
	var key [4]byte
	be.PutUint16(key[2:], uint16(HeldRecords))
	o := PlainOptions()
	o.Control = true
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = h.ProducerID, h.ProducerEpoch, h.BaseSequence
	o.LastOffsetDelta = h.LastOffsetDelta
	// The record has the last offset, not the first: some clients go on after the record they skip instead of after its batch.
	recs := [1]Record{{Key: key[:], Value: value, Offset: kafka.Offset(h.LastOffsetDelta), Timestamp: held.Appended}}
	return Build(dst, o, recs[:])
}

// ParseHeld reads the batch of the log whose header is h; ok is false for every other kind of batch. What it returns aliases batch. Errors carry
// kafka.CorruptMessage.
func ParseHeld(batch []byte, h *Header) (held Held, ok bool, err error) {
	if !h.IsControl() || h.IsTransactional() || h.Codec() != None {
		return held, false, nil
	}
	for r, err := range Records(batch, 0) {
		if err != nil {
			return held, false, err
		}
		if t, err := ParseControlKey(r.Key); err != nil || t != HeldRecords {
			return held, false, err
		}
		held, err = parseHeld(r.Value, h)
		return held, err == nil, err
	}
	return held, false, nil
}

func parseHeld(b []byte, h *Header) (held Held, err error) {
	damaged := func(why string) (Held, error) {
		return Held{}, kafka.Errorf(kafka.CorruptMessage, "the held batch at offset %d cannot be read: %s", h.BaseOffset, why)
	}
	be := binary.BigEndian
	if len(b) < heldHeader {
		return damaged("it ends early")
	}
	version, flags, count := be.Uint16(b), b[2], int64(be.Uint32(b[11:]))
	held.Appended = kafka.Timestamp(be.Uint64(b[3:]))
	b = b[heldHeader:]
	switch {
	case version != 0:
		return damaged("a later version wrote it")
	case held.Appended < 0 || count != int64(h.LastOffsetDelta)+1 || count > int64(len(b))/2:
		return damaged("its counts do not fit each other")
	}
	held.Records = make([]HeldRecord, count)
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > math.MaxInt64 {
			err = errVarint
			return 0
		}
		b = b[n:]
		return v
	}
	for i := range held.Records {
		r := &held.Records[i]
		*r = HeldRecord{Due: kafka.NoTimestamp, Origin: kafka.NoOffset, Was: kafka.NoOffset}
		if due := number(); due > 0 {
			r.Due = held.Appended + kafka.Timestamp(due-1)
			if r.Due < held.Appended {
				return damaged("a time is beyond all times")
			}
		}
		r.Size = uint32(min(number(), math.MaxUint32))
		if flags&heldMoved != 0 {
			r.Origin, r.Was = kafka.Offset(number()), kafka.Offset(number())
		}
		if err != nil {
			return damaged(err.Error())
		}
	}
	held.Batch = Batches(b)
	inner, err := frame(b)
	if err != nil {
		return damaged(err.Error())
	}
	if int64(inner.Records) != count || inner.Size() != len(b) {
		return damaged("the batch in it is another one")
	}
	return held, nil
}

// Due is when a record is to be delivered, whether it asked or not.
func (h *Held) Due(i int) kafka.Timestamp {
	if due := h.Records[i].Due; due != kafka.NoTimestamp {
		return due
	}
	return h.Appended
}
