package record

import (
	"encoding/binary"

	"github.com/rafka-io/rafka/internal/kafka"
)

// recompress writes the batch again in the topic's codec (compression.type), checking its records on the way. Records keep their bytes;
// length, codec and CRC change. It holds at most MaxBatchBytes of output and a constant: a bomb ends at the first byte too many.
func recompress(b Batches, h *Header, r *Rules, now kafka.Timestamp, asked *Asked) (Batches, error) {
	out := appender{limit: r.MaxBatchBytes, buf: make([]byte, 0, len(b)+len(b)/8)}
	out.buf = append(out.buf, b[:HeaderSize]...)
	if r.Codec == None {
		if err := checkRecords(b, h, r, now, &out, asked); err != nil {
			return nil, err
		}
	} else {
		enc, release, err := compressor(r.Codec, r.Level, &out)
		if err != nil {
			return nil, err
		}
		defer release()
		if err := checkRecords(b, h, r, now, enc, asked); err != nil {
			return nil, err
		}
		if err := enc.Close(); err != nil {
			return nil, err
		}
	}
	if len(out.buf) > maxBatchSize {
		return nil, kafka.Errorf(kafka.MessageTooLarge, "the batch has %d bytes in %v: send smaller batches", len(out.buf), r.Codec)
	}
	binary.BigEndian.PutUint32(out.buf[8:], uint32(len(out.buf)-LengthOffset))
	binary.BigEndian.PutUint16(out.buf[attributesAt:], uint16(h.Attributes)&^attrCodecMask|uint16(r.Codec))
	sealCRC(out.buf)
	return out.buf, nil
}
