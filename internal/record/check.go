package record

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Where fields lie that are written in place or read before the rest.
const (
	magicAt      = 16
	crcAt        = 17
	attributesAt = 21 // the CRC covers everything from here on
	maxTimeAt    = 35
)

const magic = 2

// maxBatchSize is the largest batch whose length fits the field.
const maxBatchSize = 1<<31 - 1 - LengthOffset

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Check reads the batch at the start of b, as it comes from disk or from a leader, and verifies that it is whole: length, magic, CRC, a
// known codec and counts that fit each other. What follows the batch is not looked at; Header.Size says where that begins. Errors carry
// kafka.CorruptMessage, or kafka.UnsupportedForMessageFormat for Kafka's older formats (magic 0 and 1).
func Check(b []byte) (Header, error) {
	h, err := frame(b)
	if err != nil {
		return h, err
	}
	if err := checkCRC(&h, b[:h.Size()]); err != nil {
		return h, err
	}
	switch {
	case !h.Codec().known():
		return h, kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d has unknown %v", h.BaseOffset, h.Codec())
	case h.BaseOffset < 0 || h.LastOffset() < h.BaseOffset:
		return h, kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d ends at offset %d", h.BaseOffset, h.LastOffset())
	case h.Records < 0 || int64(h.Records) > int64(h.LastOffsetDelta)+1:
		return h, kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d counts %d records for %d offsets", h.BaseOffset, h.Records, int64(h.LastOffsetDelta)+1)
	}
	return h, nil
}

// frame reads the header at the start of b and verifies that the whole batch is there.
func frame(b []byte) (Header, error) {
	if len(b) <= magicAt {
		return Header{}, kafka.Errorf(kafka.CorruptMessage, "%d bytes are no batch", len(b))
	}
	switch m := int8(b[magicAt]); m {
	case magic:
	case 0, 1: // their entries, too, have the magic in this place
		return Header{Magic: m}, kafka.Errorf(kafka.UnsupportedForMessageFormat, "message format v%d is no longer supported: rewrite the records with a client of Kafka 0.11 or later", m)
	default:
		return Header{Magic: m}, kafka.Errorf(kafka.CorruptMessage, "unknown magic %d", m)
	}
	h, ok := ParseHeader(b)
	switch {
	case !ok:
		return h, kafka.Errorf(kafka.CorruptMessage, "a batch of %d bytes is shorter than its header", len(b))
	case h.Length < HeaderSize-LengthOffset || h.Length > maxBatchSize:
		return h, kafka.Errorf(kafka.CorruptMessage, "a batch cannot have length %d", h.Length)
	case h.Size() > len(b):
		return h, kafka.Errorf(kafka.CorruptMessage, "the batch is cut: %d of %d bytes are there", len(b), h.Size())
	}
	return h, nil
}

func checkCRC(h *Header, batch []byte) error {
	if crc := crc32.Checksum(batch[attributesAt:], castagnoli); crc != h.CRC {
		return kafka.Errorf(kafka.CorruptMessage, "the batch is damaged: its CRC is %08x, its bytes have %08x", h.CRC, crc)
	}
	return nil
}

// sealCRC computes the CRC of a batch and writes it.
func sealCRC(batch []byte) {
	binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[attributesAt:], castagnoli))
}
