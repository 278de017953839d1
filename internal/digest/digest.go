package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Entry is one batch: the offsets [Base, Next) and what it holds.
type Entry struct {
	Base, Next kafka.Offset
	Sum        uint64
}

// Damage is a stretch without a valid batch.
type Damage struct {
	From, To kafka.Offset
	Where    string // file and place, for a person
}

// Digest is what one replica holds from an offset on.
type Digest struct {
	Start, End    kafka.Offset // of its log
	HighWatermark kafka.Offset
	Compacted     kafka.Offset // its batches below may have been compacted
	From, Next    kafka.Offset // all between is told; Next is where to go on
	Bytes         int64        // that were read
	Entries       []Entry
	Damage        []Damage
}

// MaxEntries is how many batches one Digest tells of, and MaxDamage how many damaged stretches. Who makes one ends it there.
const (
	MaxEntries = 100_000
	MaxDamage  = 1_000
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Of is the entry of a batch whose checksum was verified. Its sum is made of that of its header, where its offsets, epoch and producer stand, and that of its
// records; if it is to be thorough, of a SHA-256 over all its bytes.
func Of(h *record.Header, batch []byte, thorough bool) Entry {
	e := Entry{Base: h.BaseOffset, Next: h.NextOffset()}
	if thorough {
		sum := sha256.Sum256(batch)
		e.Sum = binary.BigEndian.Uint64(sum[:])
		return e
	}
	e.Sum = uint64(crc32.Checksum(batch[:record.HeaderSize], castagnoli))<<32 | uint64(h.CRC)
	return e
}
