package partition

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// moveDelayed appends what waits below an offset anew, at the end of the log and as something that waits, because the log below that offset is about
// to be deleted. It waits until that is durable and committed, and until what was released from there is: who lost that would need the log again.
// maintenance is held.
func (p *Partition) moveDelayed(ctx context.Context, l *openLog, before kafka.Offset, now time.Time) error {
	if _, err := p.load(); err != nil {
		return err
	}
	p.delivering.Lock()
	defer p.delivering.Unlock()
	p.mu.Lock()
	var list []waitingRecord
	for r := range p.delays.readable {
		if r.offset < before {
			list = append(list, r)
		}
	}
	unsettled := p.delays.unsettled(p.firm()) < before
	p.mu.Unlock()
	if len(list) == 0 && !unsettled {
		return nil
	}
	slices.SortFunc(list, func(a, b waitingRecord) int { return cmp.Compare(a.offset, b.offset) })
	p.delivery = delivery{}
	defer func() { p.delivery = delivery{} }()
	for len(list) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, size := 0, 0
		for n < len(list) && n < releaseRecords && (n == 0 || size+int(list[n].size) <= releaseBytes) {
			size += int(list[n].size)
			n++
		}
		part := list[:n]
		list = list[n:]
		for rest := part; len(rest) > 0; {
			var err error
			if rest, err = p.fetchHeld(l, rest, aheadStep); err != nil {
				return err
			}
		}
		if err := p.moveSome(l, part, now); err != nil {
			return err
		}
	}
	p.mu.Lock()
	end := p.end
	p.mu.Unlock()
	soon, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	if err := l.Sync(soon, end); err != nil {
		return offline(p.id, err)
	}
	if p.waitsForOthers() && !p.awaitCommitted(ctx, end) {
		return errUncommitted
	}
	return nil
}

// moveSome appends records that were read. Those that could not be are left to be deleted.
func (p *Partition) moveSome(l *openLog, list []waitingRecord, now time.Time) error {
	s := p.settings.Load()
	held := record.Held{Appended: kafka.Timestamp(now.UnixMilli())}
	o := record.PlainOptions()
	var recs []record.Record
	for _, w := range list {
		r := p.delivery.ready[w.offset]
		if r == nil {
			continue
		}
		one := record.HeldRecord{Due: kafka.NoTimestamp, Size: r.size, Origin: r.origin, Was: r.offset}
		if r.delayed {
			one.Due = max(r.due, held.Appended)
		}
		held.Records = append(held.Records, one)
		o.Codec = r.codec
		rec := r.record
		rec.Offset = kafka.Offset(len(recs))
		recs = append(recs, rec)
		p.delivery.drop(w.offset)
	}
	if len(recs) == 0 {
		return nil
	}
	if s.Rules.Recompress {
		o.Codec, o.Level = s.Rules.Codec, s.Rules.Level
	}
	var err error
	if held.Batch, err = record.Build(nil, o, recs); err != nil {
		return err
	}
	inner, _ := record.ParseHeader(held.Batch)
	batch, err := record.BuildHeld(nil, &inner, &held)
	if err != nil {
		return err
	}
	h, _ := record.ParseHeader(batch)
	p.mu.Lock()
	defer p.mu.Unlock()
	role, err := p.mayAppend(s, true)
	if err != nil {
		return err
	}
	base, err := p.writeLocked(l, s, role, batch, &h, nil, now, ack{})
	if err != nil {
		return err
	}
	p.delays.committed(p.firm())
	p.delays.hold(&held, base)
	return nil
}

// keepDelayed says up to which offset retention may delete that would delete upto, and by what smaller offset nothing is lost. What waits is moved if
// it is at most half of what goes, bytes in all; else the log is kept from the first record that waits, and grows beyond its retention until that is
// released: which is at most retention.ms later.
func (p *Partition) keepDelayed(ctx context.Context, l *openLog, upto kafka.Offset, bytes int64, now time.Time) (kafka.Offset, error) {
	p.mu.Lock()
	oldest, waiting := p.delays.unsettled(p.firm()), int64(0)
	for r := range p.delays.all {
		oldest = min(oldest, r.offset)
		if r.offset < upto {
			waiting += int64(r.size)
		}
	}
	p.mu.Unlock()
	if oldest >= upto {
		return upto, nil
	}
	if waiting <= bytes/2 && p.role.Load().IsLeader {
		err := p.moveDelayed(ctx, l, upto, now)
		if err == nil {
			return upto, nil
		}
		if ctx.Err() != nil {
			return kafka.NoOffset, err
		}
		p.host.Logger.Warn("delayed records could not be moved, so retention keeps what follows them", "log", p.id.String(), "err", err)
	}
	return oldest, nil
}
