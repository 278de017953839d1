package record

import (
	"encoding/binary"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Stamp writes base offset and leader epoch into the batch at the start of b, in place (REC-1). Both lie outside the CRC.
func Stamp(b []byte, base kafka.Offset, epoch kafka.LeaderEpoch) {
	binary.BigEndian.PutUint64(b, uint64(base))
	binary.BigEndian.PutUint32(b[12:], uint32(epoch))
}

// StampAppendTime makes now the timestamp of every record of the valid batch that b is: the attribute bit, the max timestamp, and the CRC
// again, all in place (REC-1). Topics with LogAppendTime ask for it.
func StampAppendTime(b []byte, now kafka.Timestamp) {
	attributes := binary.BigEndian.Uint16(b[attributesAt:])
	binary.BigEndian.PutUint16(b[attributesAt:], attributes|attrLogAppendTime)
	binary.BigEndian.PutUint64(b[maxTimeAt:], uint64(now))
	size := LengthOffset + int(binary.BigEndian.Uint32(b[8:]))
	sealCRC(b[:size])
}

// UnstampAppendTime undoes StampAppendTime, where the batch was not appended after all and may be tried again: was is its header of before.
func UnstampAppendTime(b []byte, was *Header) {
	binary.BigEndian.PutUint16(b[attributesAt:], uint16(was.Attributes))
	binary.BigEndian.PutUint64(b[maxTimeAt:], uint64(was.MaxTimestamp))
	binary.BigEndian.PutUint32(b[crcAt:], was.CRC)
}
