package partition

import (
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// heldRead is how much of the log is read at once for records that lie somewhere in it.
const heldRead = 16 << 10

// fetchHeld reads records that wait, which are given by offset, until batches of about so many bytes were unpacked; it returns those that are left. What
// cannot be read is parked: it must not hold up the others. delivering is held.
func (p *Partition) fetchHeld(l *openLog, list []waitingRecord, bytes int) (left []waitingRecord, err error) {
	for len(list) > 0 && bytes > 0 {
		first := list[0]
		ext, err := l.Read(first.offset, storage.ReadLimit{MaxBytes: heldRead, Below: kafka.NoOffset})
		if errors.Is(err, kafka.OffsetOutOfRange) {
			list = p.park(list, 1, err) // it was deleted meanwhile
			continue
		}
		if err != nil {
			return list, p.readFailed(err)
		}
		if ext == nil {
			list = p.park(list, 1, storage.ErrDamaged)
			continue
		}
		before := len(list)
		b, err := ext.Bytes()
		if err != nil {
			ext.Release()
			return list, p.readFailed(err)
		}
		for h, batch := range b.All() {
			if len(list) == 0 || h.NextOffset() <= list[0].offset {
				continue
			}
			n := 0
			for n < len(list) && list[n].offset < h.NextOffset() {
				n++
			}
			if n == 0 {
				continue
			}
			size, err := p.unpackHeld(&h, batch, list[:n])
			if bytes -= size; err != nil {
				p.park(list, n, err)
			}
			list = list[n:]
		}
		ext.Release()
		if len(list) == before {
			list = p.park(list, 1, storage.ErrDamaged)
		}
	}
	return list, nil
}

// unpackHeld reads records out of the batch that holds them, and says how many bytes its records have.
func (p *Partition) unpackHeld(h *record.Header, batch []byte, list []waitingRecord) (size int, err error) {
	held, ok, err := record.ParseHeld(batch, h)
	if err == nil && !ok {
		err = kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d holds no delayed records", h.BaseOffset)
	}
	if err != nil {
		return len(batch), err
	}
	for i := range held.Records {
		size += int(held.Records[i].Size)
	}
	inner, _ := record.ParseHeader(held.Batch)
	wanted := func(i int32) bool { return len(list) > 0 && h.BaseOffset+kafka.Offset(i) == list[0].offset }
	for r, err := range record.Pick(held.Batch, mostHeld(held.Batch, p.settings.Load()), wanted) {
		if err != nil {
			return size, err
		}
		at := &held.Records[list[0].offset-h.BaseOffset]
		one := &heldRecord{waitingRecord: list[0], origin: list[0].offset, delayed: at.Due != kafka.NoTimestamp, codec: inner.Codec(), record: cloned(r)}
		if at.Origin != kafka.NoOffset {
			one.origin = at.Origin
		}
		p.delivery.put(one)
		list = list[1:]
	}
	if len(list) > 0 {
		return size, kafka.Errorf(kafka.CorruptMessage, "the batch at offset %d does not hold the record of offset %d", h.BaseOffset, list[0].offset)
	}
	return size, nil
}

// park sets aside the first n of a list, unless they were read, and returns the rest.
func (p *Partition) park(list []waitingRecord, n int, why error) []waitingRecord {
	parked := 0
	p.mu.Lock()
	for _, r := range list[:n] {
		if p.delivery.ready[r.offset] == nil && r.offset >= p.delays.floor {
			p.delays.park(r)
			parked++
		}
	}
	p.mu.Unlock()
	if parked > 0 {
		p.host.Logger.Error("delayed records cannot be read and are not delivered before the next start", "log", p.id.String(), "records", parked, "offset", int64(list[0].offset), "err", why)
	}
	return list[n:]
}
