package partition

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// The snapshot of what waits is the sidecar blob "delays", big endian; integrity is the sidecar's:
//
//	version 1 byte (1) | offset 8 | count 4 | count times: due 8 (ms) | offset 8 | size 4
//
// It holds the state of the log below offset. It is written before the snapshot of producers that ends at the same offset, so it is never behind
// that; a partition in which nothing waited at that offset may have none. There is always one as long as something waits.
const (
	delaysBlob    = "delays"
	delaysVersion = 1
	delaysHeader  = 1 + 8 + 4
	delayBytes    = 8 + 8 + 4
)

// maxDelayed is how many records may wait in a partition at most (rafka.delivery.max.pending), so that their snapshot fits a sidecar.
const maxDelayed = 3_000_000

var errDelays = errors.New("this is no snapshot of delayed records that this version can read")

// encode writes what waited when the log ended at offset. What batches at or above it took out still waited.
func (d *delays) encode(offset kafka.Offset) []byte {
	be := binary.BigEndian
	b := make([]byte, 0, delaysHeader+(len(d.heap)+len(d.parked)+len(d.undone))*delayBytes)
	b = append(b, delaysVersion)
	b = be.AppendUint64(b, uint64(offset))
	b = be.AppendUint32(b, 0)
	count := uint32(0)
	add := func(r *waitingRecord) {
		b = be.AppendUint64(b, uint64(r.due))
		b = be.AppendUint64(b, uint64(r.offset))
		b = be.AppendUint32(b, r.size)
		count++
	}
	for r := range d.all {
		if r.offset < offset {
			add(&r)
		}
	}
	for _, r := range d.heap {
		if by, gone := d.gone[r.offset]; gone && by >= offset && r.offset < offset {
			add(&r)
		}
	}
	for i := range d.undone {
		if u := &d.undone[i]; u.by >= offset && u.offset < offset {
			add(&u.waitingRecord)
		}
	}
	be.PutUint32(b[9:], count)
	return b
}

// decodeDelays reads what encode wrote, but for what lies below the log's start. It takes memory in proportion to the bytes it is given.
func decodeDelays(b []byte, start kafka.Offset) (*delays, kafka.Offset, error) {
	be := binary.BigEndian
	if len(b) < delaysHeader || b[0] != delaysVersion {
		return nil, 0, errDelays
	}
	offset := kafka.Offset(be.Uint64(b[1:]))
	count := int64(be.Uint32(b[9:]))
	b = b[delaysHeader:]
	if offset < 0 || int64(len(b)) != count*delayBytes {
		return nil, 0, errDelays
	}
	d := newDelays()
	d.floor = start
	if count > 0 {
		d.heap = make([]waitingRecord, 0, count)
	}
	for ; len(b) > 0; b = b[delayBytes:] {
		r := waitingRecord{due: kafka.Timestamp(be.Uint64(b)), offset: kafka.Offset(be.Uint64(b[8:])), size: be.Uint32(b[16:])}
		if r.due < 0 || r.due == math.MaxInt64 || r.offset < 0 || r.offset >= offset {
			return nil, 0, errDelays
		}
		if r.offset >= start {
			d.heap = append(d.heap, r)
		}
	}
	d.rebuild()
	return d, offset, nil
}

// savedDelays says what the sidecar has of a partition's delays.
type savedDelays int8

const (
	delaysNone  savedDelays = iota // no snapshot
	delaysSaved                    // one that the next has to replace
	delaysEmpty                    // one in which nothing waits, at the offset of the snapshot of producers: it may go
)

// encodeDelaysLocked is the snapshot of what waited when the log ended at an offset; nil if nothing did and nobody has to be told. mu is held.
func (p *Partition) encodeDelaysLocked(end kafka.Offset) []byte {
	p.delays.committed(p.firm())
	if p.delays.len() == 0 && len(p.delays.undone) == 0 && p.savedDelays != delaysSaved {
		return nil
	}
	return p.delays.encode(end)
}

// saveDelays writes the snapshot of what waits, before that of the producers. maintenance is held.
func (p *Partition) saveDelays(l *openLog, blob []byte) error {
	var err error
	switch {
	case blob != nil:
		err = l.Sidecar().Put(delaysBlob, blob)
		p.savedDelays = delaysSaved
	case p.savedDelays == delaysEmpty:
		err = l.Sidecar().Delete(delaysBlob)
		p.savedDelays = delaysNone
	}
	if err != nil {
		return fmt.Errorf("save the delayed records of %s: %w", p.id, err)
	}
	return nil
}

// recallDelays reads what waits from the sidecar into m. Without a blob nothing waited when the log ended at upto, where what is known of producers
// ends. If it cannot be used, all of the log is to be read for it.
func (p *Partition) recallDelays(l *openLog, b storage.Bounds, upto kafka.Offset, m *memory) error {
	blob, err := l.Sidecar().Get(delaysBlob)
	if errors.Is(err, fs.ErrNotExist) {
		m.delaysUpto = upto
		return nil
	}
	var known *delays
	var offset kafka.Offset
	if err == nil {
		known, offset, err = decodeDelays(blob, b.Start)
	}
	if err == nil && offset > b.End {
		err = fmt.Errorf("the snapshot is of offset %d, the log ends at %d: %w", offset, b.End, errDelays)
	}
	switch {
	case err == nil:
		m.delays, m.delaysUpto, m.savedDelays = known, offset, delaysSaved
	case errors.Is(err, storage.ErrDamaged), errors.Is(err, errDelays):
		p.host.Logger.Warn("what was saved of delayed records cannot be used, reading the whole log instead", "log", p.id.String(), "err", err)
		m.forgetDelays(b)
	default:
		return err
	}
	return nil
}

// forgetDelays has them read from the log, all of it.
func (m *memory) forgetDelays(b storage.Bounds) {
	m.delays, m.delaysUpto, m.savedDelays = newDelays(), kafka.NoOffset, delaysSaved
	m.delays.floor = b.Start
}
