package partition

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// heldRecord is a record that waits, with what is in it.
type heldRecord struct {
	waitingRecord
	origin  kafka.Offset // the offset that its producer was told
	delayed bool         // it asked for a time
	codec   record.Codec // of the batch in which it came
	record  record.Record
}

// holding is a batch to be appended in which records wait for their time.
type holding struct {
	held    record.Held
	atOnce  []heldRecord // those that do not wait; their offsets are yet to be raised by the base offset
	appends kafka.Timestamp
}

// hold makes of a checked batch the one that holds it.
//
// Errors: InvalidRecord where records cannot be delayed.
func (p *Partition) hold(s *Settings, batch record.Batches, h *record.Header, asked *record.Asked, now kafka.Timestamp) (record.Batches, record.Header, *holding, error) {
	refuse := func(format string, args ...any) (record.Batches, record.Header, *holding, error) {
		return nil, *h, nil, kafka.Errorf(kafka.InvalidRecord, format, args...)
	}
	switch limit := s.RetentionTime.Milliseconds(); {
	case h.IsTransactional():
		return refuse("a record of a transaction cannot be delayed: send it without a transaction, or without %s and %s", record.DeliverAt, record.DelayMs)
	case s.Compact:
		return refuse("%s is compacted: records of compacted topics cannot be delayed", p.id.Topic)
	case s.RetentionTime >= 0 && int64(asked.Latest-now) > limit:
		return refuse("a delay of %d ms is longer than retention.ms, %d: delay less or raise it", asked.Latest-now, limit)
	}
	x := &holding{held: record.Held{Appended: now, Batch: batch, Records: make([]record.HeldRecord, h.Records)}, appends: now}
	for i := range x.held.Records {
		r := record.HeldRecord{Due: kafka.NoTimestamp, Size: asked.Sizes[i], Origin: kafka.NoOffset, Was: kafka.NoOffset}
		if i < len(asked.Due) && asked.Due[i] != kafka.NoTimestamp {
			r.Due = max(asked.Due[i], now)
		}
		x.held.Records[i] = r
	}
	if !x.anyAtOnce(now) {
		return x.finish(h)
	}
	i := 0
	for r, err := range record.Records(batch, mostHeld(batch, s)) {
		if err != nil {
			return nil, *h, nil, err
		}
		if at := x.held.Due(i); at <= now {
			w := waitingRecord{due: at, offset: kafka.Offset(i), size: x.held.Records[i].Size}
			x.atOnce = append(x.atOnce, heldRecord{waitingRecord: w, origin: w.offset, delayed: x.held.Records[i].Due != kafka.NoTimestamp, codec: h.Codec(), record: r})
		}
		i++
	}
	return x.finish(h)
}

func (x *holding) anyAtOnce(now kafka.Timestamp) bool {
	for i := range x.held.Records {
		if x.held.Due(i) <= now {
			return true
		}
	}
	return false
}

// finish builds the batch.
func (x *holding) finish(h *record.Header) (record.Batches, record.Header, *holding, error) {
	out, err := record.BuildHeld(nil, h, &x.held)
	if err != nil {
		return nil, *h, nil, err
	}
	outer, _ := record.ParseHeader(out)
	return out, outer, x, nil
}

// mostHeld is how many bytes the records of a held batch may have together: what record.ValidateAsking lets in, under any settings.
func mostHeld(batch record.Batches, s *Settings) int {
	return max(record.MaxCompacted, s.Rules.MaxBatchBytes, len(batch))
}

// roomToHold refuses a batch that would make too many records wait.
func (p *Partition) roomToHold(s *Settings, x *holding) error {
	most := s.MaxDelayed
	if most <= 0 || most > maxDelayed {
		most = maxDelayed
	}
	if waiting := p.delays.len(); waiting+len(x.held.Records)-len(x.atOnce) > most {
		// Of the errors that say "later", this is the one on which clients of all ages send the batch again.
		return kafka.Errorf(kafka.NotEnoughReplicas, "%d records of %s wait for their time and rafka.delivery.max.pending is %d: retry later, use more partitions or raise it", waiting, p.id, most)
	}
	return nil
}

// heldLocked takes in a batch that was appended at base. What is due at once is released at once: should that fail, it is tried again. mu is held.
func (p *Partition) heldLocked(l *openLog, s *Settings, role *Role, x *holding, base kafka.Offset, now time.Time) {
	before := p.delays.top()
	p.delays.hold(&x.held, base)
	if len(x.atOnce) > 0 {
		for i := range x.atOnce {
			x.atOnce[i].offset += base
			x.atOnce[i].origin += base
		}
		if batch, err := released(s, x.atOnce, x.appends); err == nil {
			_ = p.releaseLocked(l, s, role, batch, x.atOnce, now)
		}
	}
	if top := p.delays.top(); top < before {
		p.tellDue(top)
	}
}

// released builds the batch in which records are delivered.
func released(s *Settings, recs []heldRecord, now kafka.Timestamp) (record.Batches, error) {
	o := record.PlainOptions()
	o.Released = true
	o.Codec = recs[0].codec
	if s.Rules.Recompress {
		o.Codec, o.Level = s.Rules.Codec, s.Rules.Level
	}
	o.TimestampType = s.Rules.TimestampType
	out := make([]record.Record, len(recs))
	for i := range recs {
		r := recs[i].record
		record.Release(&r, recs[i].origin, recs[i].offset, recs[i].delayed, now)
		r.Offset = kafka.Offset(i)
		if o.TimestampType == record.LogAppendTime {
			r.Timestamp = now
		}
		out[i] = r
	}
	return record.Build(nil, o, out)
}

// releaseLocked appends a batch of released records. mu is held.
func (p *Partition) releaseLocked(l *openLog, s *Settings, role *Role, batch record.Batches, recs []heldRecord, now time.Time) error {
	h, _ := record.ParseHeader(batch)
	base, err := p.writeLocked(l, s, role, batch, &h, nil, now, ack{})
	if err != nil {
		return err
	}
	p.delays.committed(p.firm())
	for i := range recs {
		p.delays.take(recs[i].offset, base)
	}
	return nil
}

// tellDue says when Deliver is next of use. It is called with and without mu, so who listens must not call back.
func (p *Partition) tellDue(due kafka.Timestamp) {
	if p.host.OnDue != nil && due != noDue {
		p.host.OnDue(p, time.UnixMilli(int64(due)).Add(-deliverAhead))
	}
}
