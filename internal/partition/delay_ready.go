package partition

import (
	"cmp"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// delivery is what was read of records whose time comes soon. The lock delivering guards it.
type delivery struct {
	ready map[kafka.Offset]*heldRecord
	bytes int64
	ahead []waitingRecord // still to be read, by offset
	upto  kafka.Timestamp // what waits until then was read, or is in ahead
}

// readAhead reads what is due soon, a piece in each call, and says whether there is more to be read now.
func (p *Partition) readAhead(l *openLog, ms kafka.Timestamp, room int64) (busy bool, err error) {
	d := &p.delivery
	if len(d.ahead) == 0 {
		const ahead = kafka.Timestamp(deliverAhead / time.Millisecond)
		if room <= 0 || d.upto-ms > ahead || len(d.ready) > deliverRecords/2 {
			return false, nil
		}
		p.mu.Lock()
		list, upto := p.delays.until(ms+kafka.Timestamp(deliverWindow/time.Millisecond), deliverRecords, min(room, deliverBytes))
		p.mu.Unlock()
		for _, r := range list {
			if d.ready[r.offset] == nil {
				d.ahead = append(d.ahead, r)
			}
		}
		d.upto = upto
		slices.SortFunc(d.ahead, func(a, b waitingRecord) int { return cmp.Compare(a.offset, b.offset) })
	}
	if len(d.ahead) == 0 {
		return false, nil
	}
	d.ahead, err = p.fetchHeld(l, d.ahead, aheadStep)
	if len(d.ahead) == 0 {
		d.ahead = nil
	}
	return len(d.ahead) > 0, err
}

func (d *delivery) put(r *heldRecord) {
	if d.ready == nil {
		d.ready = map[kafka.Offset]*heldRecord{}
	}
	if d.ready[r.offset] == nil {
		d.bytes += int64(r.size) + heldOverhead
	}
	d.ready[r.offset] = r
}

func (d *delivery) drop(offset kafka.Offset) {
	if r := d.ready[offset]; r != nil {
		d.bytes -= int64(r.size) + heldOverhead
		delete(d.ready, offset)
	}
}

// cloned is r with bytes of its own.
func cloned(r record.Record) record.Record {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Value)
	}
	all := make([]byte, 0, n)
	own := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(all)
		all = append(all, b...)
		return all[at:len(all):len(all)]
	}
	r.Key, r.Value = own(r.Key), own(r.Value)
	for i := range r.Headers {
		r.Headers[i].Value = own(r.Headers[i].Value)
	}
	return r
}
