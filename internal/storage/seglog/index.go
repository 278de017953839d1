package seglog

import (
	"encoding/binary"
	"sort"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// index finds places in a segment, sparsely. On disk it is Kafka's two files: .index with entries of relative offset and position (4 + 4
// bytes), .timeindex with entries of timestamp and relative offset (8 + 4). The offset of an entry is that of a batch's last record, the
// position that of the batch; a time entry says that no record up to that offset is younger than the timestamp.
type index struct {
	from       int64        // batches at positions below are not in it: recovery began behind them
	fromOffset kafka.Offset // the first offset at from
	offsets    []offsetEntry
	times      []timeEntry
}

type offsetEntry struct {
	rel uint32 // relative offset of the last record of the batch
	pos uint32 // where the batch begins
}

type timeEntry struct {
	ts  kafka.Timestamp
	rel uint32 // last offset of the batch with that maximum
}

const (
	offsetEntrySize = 8
	timeEntrySize   = 12
)

// floor is the position of the last indexed batch that begins at or below rel's batch: scanning from it finds rel.
func (x *index) floor(rel int64) int64 {
	// An entry's batch ends at e.rel; the batch holding rel ends at or after rel, so start from the last entry whose batch ends before
	// rel, or whose batch itself holds it.
	i := sort.Search(len(x.offsets), func(i int) bool { return int64(x.offsets[i].rel) > rel })
	if i == 0 {
		return 0
	}
	return int64(x.offsets[i-1].pos)
}

// lastAt is the last relative offset of the batch that is indexed at pos, as far as the index knows: Kafka's may tell that of a later one.
func (x *index) lastAt(pos int64) (rel int64, ok bool) {
	i := sort.Search(len(x.offsets), func(i int) bool { return int64(x.offsets[i].pos) >= pos })
	if i == len(x.offsets) || int64(x.offsets[i].pos) != pos {
		return 0, false
	}
	return int64(x.offsets[i].rel), true
}

// boundary is the last indexed position at or before pos; 0 if there is none.
func (x *index) boundary(pos int64) int64 {
	i := sort.Search(len(x.offsets), func(i int) bool { return int64(x.offsets[i].pos) > pos })
	if i == 0 {
		return 0
	}
	return int64(x.offsets[i-1].pos)
}

// floorTime is the relative offset up to which every record is older than ts, and false if the index knows of none.
func (x *index) floorTime(ts kafka.Timestamp) (rel uint32, ok bool) {
	i := sort.Search(len(x.times), func(i int) bool { return x.times[i].ts >= ts })
	if i == 0 {
		return 0, false
	}
	return x.times[i-1].rel, true
}

// prepend puts the index of the batches below x.from in front, which makes x whole.
func (x *index) prepend(head *index) {
	offsets := append(head.offsets, x.offsets...)
	times := head.times
	for _, t := range x.times {
		if n := len(times); n == 0 || t.ts > times[n-1].ts {
			times = append(times, t)
		}
	}
	*x = index{offsets: offsets, times: times}
}

func (x *index) encodeOffsets() []byte {
	b := make([]byte, 0, len(x.offsets)*offsetEntrySize)
	for _, e := range x.offsets {
		b = binary.BigEndian.AppendUint32(b, e.rel)
		b = binary.BigEndian.AppendUint32(b, e.pos)
	}
	return b
}

func (x *index) encodeTimes() []byte {
	b := make([]byte, 0, len(x.times)*timeEntrySize)
	for _, e := range x.times {
		b = binary.BigEndian.AppendUint64(b, uint64(e.ts))
		b = binary.BigEndian.AppendUint32(b, e.rel)
	}
	return b
}

// decodeIndex reads both files of a segment with size bytes of batches. It answers false if they are not believable: then the index is
// rebuilt from the segment (SEG-2). Kafka preallocates index files with zeros at the end; those are left out.
func decodeIndex(offsets, times []byte, size int64) (*index, bool) {
	if len(offsets)%offsetEntrySize != 0 || len(times)%timeEntrySize != 0 {
		return nil, false
	}
	x := &index{}
	if len(offsets) > 0 {
		x.offsets = make([]offsetEntry, 0, len(offsets)/offsetEntrySize)
	}
	for ; len(offsets) > 0; offsets = offsets[offsetEntrySize:] {
		e := offsetEntry{binary.BigEndian.Uint32(offsets), binary.BigEndian.Uint32(offsets[4:])}
		if n := len(x.offsets); n > 0 && (e.rel <= x.offsets[n-1].rel || e.pos <= x.offsets[n-1].pos) {
			if e == (offsetEntry{}) {
				break // preallocated
			}
			return nil, false
		}
		if int64(e.pos) >= size {
			return nil, false
		}
		x.offsets = append(x.offsets, e)
	}
	for ; len(times) > 0; times = times[timeEntrySize:] {
		e := timeEntry{kafka.Timestamp(binary.BigEndian.Uint64(times)), binary.BigEndian.Uint32(times[8:])}
		if n := len(x.times); n > 0 && (e.ts <= x.times[n-1].ts || e.rel < x.times[n-1].rel) {
			if e == (timeEntry{}) {
				break
			}
			if e == x.times[n-1] {
				continue // Kafka repeats the last entry when it closes a segment
			}
			return nil, false
		}
		x.times = append(x.times, e)
	}
	return x, true
}

// indexer adds batches to an index as they come, one entry at most every interval bytes.
type indexer struct {
	*index
	base  kafka.Offset
	since int // bytes since the last entry
	max   timeEntry
	any   bool // max is of some batch
}

func (x *indexer) add(h *record.Header, pos int64, interval int) {
	last := uint32(h.LastOffset() - x.base)
	if h.MaxTimestamp >= 0 && (!x.any || h.MaxTimestamp > x.max.ts) {
		x.max, x.any = timeEntry{h.MaxTimestamp, last}, true
	}
	if x.since > interval || len(x.offsets) == 0 && pos > 0 && x.since > 0 {
		x.offsets = append(x.offsets, offsetEntry{last, uint32(pos)})
		x.addTime()
		x.since = 0
	}
	x.since += h.Size()
}

// addTime notes the largest timestamp so far, if it has risen since the last entry.
func (x *indexer) addTime() {
	if x.any && (len(x.times) == 0 || x.max.ts > x.times[len(x.times)-1].ts) {
		x.times = append(x.times, x.max)
	}
}
