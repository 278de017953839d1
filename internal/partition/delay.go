package partition

import (
	"math"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// delays is which records of a partition wait for their time (PAR-8). It is a fold of the log: batches that hold records add them, batches of
// released records take them out. It is pure: the partition's lock guards it, and the time comes with each call.
//
// A record costs 24 bytes, up to twice that while the heap grows.
type delays struct {
	heap   []waitingRecord               // a binary heap by time, then offset
	gone   map[kafka.Offset]kafka.Offset // in heap and no longer waiting: the batch that took it out, or parkedBy or deletedBy
	parked []waitingRecord               // those that cannot be read; not in heap
	undone []takenRecord                 // no longer waiting by a batch that may not be committed yet
	floor  kafka.Offset                  // nothing below waits, whatever the log says: it was deleted
}

// waitingRecord is one record. Its offset is that of the batch that holds it, plus its index.
type waitingRecord struct {
	due    kafka.Timestamp
	offset kafka.Offset
	size   uint32 // bytes
}

func (r *waitingRecord) before(o *waitingRecord) bool {
	return r.due < o.due || r.due == o.due && r.offset < o.offset
}

// takenRecord is a record that a batch of the log took out.
type takenRecord struct {
	waitingRecord
	by kafka.Offset // base offset of that batch
}

// noDue is the time of nothing.
const noDue kafka.Timestamp = math.MaxInt64

func newDelays() *delays { return &delays{} }

// len is how many records wait.
func (d *delays) len() int { return len(d.heap) - len(d.gone) + len(d.parked) }

// top is the earliest time for which a record waits that can be read; noDue if there is none.
func (d *delays) top() kafka.Timestamp {
	if len(d.heap) == 0 {
		return noDue
	}
	return d.heap[0].due
}

// add makes a record wait.
func (d *delays) add(r waitingRecord) {
	if r.offset < d.floor {
		return
	}
	d.heap = append(d.heap, r)
	i := len(d.heap) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !d.heap[i].before(&d.heap[up]) {
			break
		}
		d.heap[i], d.heap[up] = d.heap[up], d.heap[i]
		i = up
	}
}

// hold takes in a batch of held records at base; by what it says, those that it moved stop waiting where they were.
func (d *delays) hold(held *record.Held, base kafka.Offset) {
	for i := range held.Records {
		r := &held.Records[i]
		w := waitingRecord{due: held.Due(i), offset: base + kafka.Offset(i), size: r.Size}
		if r.Was != kafka.NoOffset {
			d.take(r.Was, base)
		}
		d.add(w)
	}
}

// fold takes in a batch of our own log.
func (d *delays) fold(h *record.Header, batch []byte) error {
	switch {
	case h.IsReleased():
		for r, err := range record.Records(batch, 0) {
			if err != nil {
				return err
			}
			from, err := record.ReleasedFrom(&r)
			if err != nil {
				return err
			}
			d.take(from, h.BaseOffset)
		}
	case h.IsControl():
		held, ok, err := record.ParseHeld(batch, h)
		if err != nil || !ok {
			return err
		}
		d.hold(&held, h.BaseOffset)
	}
	return nil
}

// take ends the waiting of a record, by the batch at an offset. Records are released in the order of the heap, so it is mostly its top; if earlier
// ones were added while it was on its way out, it stays in the heap until those have gone. The log is believed: a record is taken out once.
func (d *delays) take(offset, by kafka.Offset) {
	if offset < d.floor {
		return
	}
	if len(d.heap) > 0 && d.heap[0].offset == offset {
		d.forget(d.pop(), by)
		d.settle()
		return
	}
	for i := range d.parked {
		if p := d.parked[i]; p.offset == offset {
			d.parked = append(d.parked[:i], d.parked[i+1:]...)
			d.forget(p, by)
			return
		}
	}
	d.leave(offset, by)
}

// park sets a record aside that cannot be read. It stays in the log and in the snapshot, and is tried again after the next start.
func (d *delays) park(r waitingRecord) {
	d.parked = append(d.parked, r)
	if len(d.heap) > 0 && d.heap[0].offset == r.offset {
		d.pop()
		d.settle()
		return
	}
	d.leave(r.offset, parkedBy)
}

// parkedBy stands in gone for the batch that took a record out, of one that was parked.
const parkedBy kafka.Offset = -2

// maxGone bounds what is in the heap without waiting, together with a part of what waits.
const maxGone = 1 << 12

// leave notes that a record is in the heap without waiting.
func (d *delays) leave(offset, by kafka.Offset) {
	if d.gone == nil {
		d.gone = map[kafka.Offset]kafka.Offset{}
	}
	d.gone[offset] = by
	if len(d.gone) > max(maxGone, len(d.heap)/8) {
		d.rebuild()
	}
}

// forget notes that a record waits no longer.
func (d *delays) forget(r waitingRecord, by kafka.Offset) {
	if by != parkedBy && by != deletedBy {
		d.undone = append(d.undone, takenRecord{r, by})
	}
}

// forgetUndone keeps only so many of those, the latest.
func (d *delays) forgetUndone(most int) {
	if n := len(d.undone) - most; n > 0 {
		d.undone = append(d.undone[:0], d.undone[n:]...)
	}
}

// deletedBy stands in gone for the batch that took a record out, of one that was deleted.
const deletedBy kafka.Offset = -3

// trim forgets what waits below before, which is deleted.
func (d *delays) trim(before kafka.Offset) {
	d.floor = max(d.floor, before)
	if d.len() == 0 || d.oldest() >= before {
		return
	}
	d.rebuild()
	d.gone = map[kafka.Offset]kafka.Offset{}
	for _, r := range d.heap {
		if r.offset < before {
			d.gone[r.offset] = deletedBy
		}
	}
	d.rebuild()
	d.parked = slices.DeleteFunc(d.parked, func(r waitingRecord) bool {
		if r.offset < before {
			d.forget(r, deletedBy)
		}
		return r.offset < before
	})
}

// unsettled is the smallest offset of a record that a batch took out which is not committed, noneOpen if there is none.
func (d *delays) unsettled(hw kafka.Offset) kafka.Offset {
	d.committed(hw)
	least := noneOpen
	for i := range d.undone {
		least = min(least, d.undone[i].offset)
	}
	for offset, by := range d.gone {
		if by >= hw {
			least = min(least, offset)
		}
	}
	return least
}

// committed forgets those that were taken out by batches below the high watermark.
func (d *delays) committed(hw kafka.Offset) {
	if len(d.undone) == 0 {
		return
	}
	d.undone = slices.DeleteFunc(d.undone, func(u takenRecord) bool { return u.by < hw })
	if len(d.undone) == 0 {
		d.undone = nil
	}
}
