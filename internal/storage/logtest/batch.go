package logtest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch describes a batch to be made. Its records have no key and their values are made from Seed.
type Batch struct {
	Base        kafka.Offset
	Records     int // at least 1; offsets are contiguous
	ValueBytes  int // of each record
	Timestamp   kafka.Timestamp
	LeaderEpoch kafka.LeaderEpoch
	Seed        uint64
}

// Append encodes the batch behind dst: format v2, not compressed, with a valid CRC.
func (o Batch) Append(dst []byte) record.Batches {
	at := len(dst)
	dst = append(dst, make([]byte, record.HeaderSize)...)
	value := make([]byte, o.ValueBytes)
	for i := range o.Records {
		x := o.Seed*0x9e3779b97f4a7c15 + uint64(i) + 1
		for j := range value {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			value[j] = byte(x)
		}
		var r []byte
		r = append(r, 0)                     // attributes
		r = binary.AppendVarint(r, 0)        // timestamp delta
		r = binary.AppendVarint(r, int64(i)) // offset delta
		r = binary.AppendVarint(r, -1)       // no key
		r = binary.AppendVarint(r, int64(len(value)))
		r = append(r, value...)
		r = binary.AppendVarint(r, 0) // headers
		dst = binary.AppendVarint(dst, int64(len(r)))
		dst = append(dst, r...)
	}
	b := dst[at:]
	binary.BigEndian.PutUint64(b, uint64(o.Base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-record.LengthOffset))
	binary.BigEndian.PutUint32(b[12:], uint32(o.LeaderEpoch))
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(o.Records-1))
	binary.BigEndian.PutUint64(b[27:], uint64(o.Timestamp))
	binary.BigEndian.PutUint64(b[35:], uint64(o.Timestamp))
	for i := 43; i < 57; i++ {
		b[i] = 0xff // no producer: id, epoch and sequence are -1
	}
	binary.BigEndian.PutUint32(b[57:], uint32(o.Records))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return dst
}
