package seglog

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// checkpoint is where recovery of a log may begin: everything before pos in the segment base is durable and next is the offset there.
type checkpoint struct {
	valid  bool
	base   kafka.Offset
	pos    int64
	next   kafka.Offset
	size   int64 // of the whole log, in bytes
	max    timeEntry
	anyMax bool
}

// The checkpoint file of a directory holds the checkpoints of all its logs: magic 4, crc32c of what follows 4, count 4, then for each topic
// id 16, partition 4, topic length 2, topic, base 8, pos 8, next 8, size 8, max timestamp 8, its relative offset 4 (2^32-1: none); little endian.
const (
	checkpointMagic = 0x52464331 // RFC1
	checkpointFixed = 16 + 4 + 2 + 4*8 + 8 + 4
)

func appendCheckpoint(b []byte, id storage.ID, c *checkpoint) []byte {
	b = append(b, id.TopicID[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(id.Partition))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(id.Topic)))
	b = append(b, id.Topic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(c.base))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.pos))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.next))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.size))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.max.ts))
	rel := uint32(math.MaxUint32)
	if c.anyMax {
		rel = c.max.rel
	}
	return binary.LittleEndian.AppendUint32(b, rel)
}

func sealCheckpoints(b []byte, count int) []byte {
	binary.LittleEndian.PutUint32(b, checkpointMagic)
	binary.LittleEndian.PutUint32(b[8:], uint32(count))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], crcTable))
	return b
}

// decodeCheckpoints reads the file; ok is false if it is not whole.
func decodeCheckpoints(b []byte) (map[storage.ID]checkpoint, bool) {
	if len(b) < 12 || binary.LittleEndian.Uint32(b) != checkpointMagic || crc32.Checksum(b[8:], crcTable) != binary.LittleEndian.Uint32(b[4:]) {
		return nil, false
	}
	count := int(binary.LittleEndian.Uint32(b[8:]))
	b = b[12:]
	if count > len(b)/checkpointFixed {
		return nil, false
	}
	all := make(map[storage.ID]checkpoint, count)
	for range count {
		if len(b) < checkpointFixed {
			return nil, false
		}
		var id storage.ID
		copy(id.TopicID[:], b)
		id.Partition = int32(binary.LittleEndian.Uint32(b[16:]))
		n := int(binary.LittleEndian.Uint16(b[20:]))
		if len(b) < checkpointFixed+n {
			return nil, false
		}
		id.Topic = string(b[22 : 22+n])
		b = b[22+n:]
		c := checkpoint{
			valid: true,
			base:  kafka.Offset(binary.LittleEndian.Uint64(b)),
			pos:   int64(binary.LittleEndian.Uint64(b[8:])),
			next:  kafka.Offset(binary.LittleEndian.Uint64(b[16:])),
			size:  int64(binary.LittleEndian.Uint64(b[24:])),
			max:   timeEntry{kafka.Timestamp(binary.LittleEndian.Uint64(b[32:])), binary.LittleEndian.Uint32(b[40:])},
		}
		c.anyMax = c.max.rel != math.MaxUint32
		if c.base < 0 || c.pos < 0 || c.next < c.base {
			return nil, false
		}
		all[id] = c
		b = b[44:]
	}
	return all, len(b) == 0
}

// markLocked notes that the log's checkpoint is newer than the file.
func (l *Log) markLocked() {
	c := &l.checkpoint
	c.valid = true
	c.size = 0
	for _, s := range l.segments {
		c.size += s.size
	}
	if len(l.segments) > 0 {
		s := l.activeLocked()
		c.max, c.anyMax = s.max, s.any
	}
	l.d.marked.Store(true)
}
