package record

import (
	"hash/crc32"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Sum verifies the checksum of a batch whose bytes come in pieces.
type Sum struct {
	want uint32
	at   kafka.Offset
	skip int // bytes that the checksum does not cover
	crc  uint32
}

// Begin starts with the batch of header h, whose bytes, header included, are given to Add in their order.
func (s *Sum) Begin(h *Header) { *s = Sum{want: h.CRC, at: h.BaseOffset, skip: attributesAt} }

// Add takes the next bytes of the batch.
func (s *Sum) Add(b []byte) {
	if s.skip > 0 {
		n := min(s.skip, len(b))
		s.skip -= n
		b = b[n:]
	}
	s.crc = crc32.Update(s.crc, castagnoli, b)
}

// End is kafka.CorruptMessage unless the bytes have the checksum that the header says.
func (s *Sum) End() error {
	if s.crc != s.want {
		return kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d is damaged: its CRC is %08x, its bytes have %08x", s.at, s.want, s.crc)
	}
	return nil
}
