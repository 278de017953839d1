package partition

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Timestamps with which ListOffsets asks for an offset that is not found by time (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023).
const (
	AtLatest                int64 = -1
	AtEarliest              int64 = -2
	AtMaxTimestamp          int64 = -3
	AtEarliestLocal         int64 = -4
	AtLatestTiered          int64 = -5
	AtEarliestPendingUpload int64 = -6
)

// OffsetQuery asks for the offset at a time, in ms since 1970, or at one of the places above.
type OffsetQuery struct {
	At           int64
	CurrentEpoch kafka.LeaderEpoch // as the client knows it; NoEpoch: not checked
	Isolation    Isolation
	Replica      bool // a follower asks: the latest offset is the log end
}

// FoundOffset is a record's place. Offset -1: nothing matches.
type FoundOffset struct {
	Offset    kafka.Offset
	Timestamp kafka.Timestamp // NoTimestamp unless the record was found by its time
	Epoch     kafka.LeaderEpoch
}

var notFound = FoundOffset{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp, Epoch: kafka.NoEpoch}

// FindOffset answers ListOffsets. What is found by time is the first record with that or a later timestamp, not only its batch.
// Records that the isolation does not let be seen are not found. Errors as of Read; UnsupportedVersion for an unknown place; OffsetNotAvailable
// as long as a new leader does not know that what it found is committed.
func (p *Partition) FindOffset(q OffsetQuery) (FoundOffset, error) {
	role, err := p.leader(q.CurrentEpoch)
	if err != nil {
		return notFound, err
	}
	l, err := p.load()
	if err != nil {
		return notFound, err
	}
	limit := p.HighWatermark()
	switch {
	case q.Replica:
		limit = p.bounds(l).End
	case q.Isolation == ReadCommitted:
		limit = p.LastStable()
	}
	found, err := p.findOffset(q, role, l, limit)
	mayBeLater := q.At == AtLatest || found.Offset == kafka.NoOffset && q.At >= AtMaxTimestamp
	if err != nil || !mayBeLater || q.Replica || !p.isCatchingUp() {
		return found, err
	}
	// More may be committed, and clients have perhaps been told so by the last leader.
	return notFound, kafka.Errorf(kafka.OffsetNotAvailable, "%s has a new leader, which does not know yet how far it is committed: try again", p.id)
}

// isCatchingUp reports whether this leader does not know yet that everything is committed that was there before it led.
func (p *Partition) isCatchingUp() bool {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	return p.waiting.isr != nil && p.waiting.isr.IsCatchingUp()
}

func (p *Partition) findOffset(q OffsetQuery, role *Role, l *openLog, limit kafka.Offset) (FoundOffset, error) {
	switch {
	case q.At == AtLatest:
		return FoundOffset{limit, kafka.NoTimestamp, role.Epoch}, nil
	case q.At == AtEarliest || q.At == AtEarliestLocal:
		start := p.LogStart()
		return FoundOffset{start, kafka.NoTimestamp, p.epochs.Load().at(start)}, nil
	case q.At == AtLatestTiered || q.At == AtEarliestPendingUpload:
		return notFound, nil // nothing is tiered
	case q.At == AtMaxTimestamp:
		at, err := l.MaxTimestamp()
		if err != nil || at.Offset == kafka.NoOffset {
			return notFound, p.failedOrNil(err)
		}
		return p.firstFrom(l, at.Offset, at.Timestamp, limit)
	case q.At < 0:
		return notFound, kafka.Errorf(kafka.UnsupportedVersion, "%d is no timestamp and no place in a log that ListOffsets knows", q.At)
	}
	ts := kafka.Timestamp(q.At)
	at, err := l.OffsetForTime(ts)
	if err != nil || at.Offset == kafka.NoOffset {
		return notFound, p.failedOrNil(err)
	}
	return p.firstFrom(l, at.Offset, ts, limit)
}

func (p *Partition) failedOrNil(err error) error {
	if err != nil {
		return p.readFailed(err)
	}
	return nil
}

// firstFrom finds the first visible record with timestamp ts or later, from the batch at offset on. The batches between are looked at
// by their headers; the one whose max timestamp is late enough has the record unless it lies below the log start.
func (p *Partition) firstFrom(l *openLog, offset kafka.Offset, ts kafka.Timestamp, limit kafka.Offset) (FoundOffset, error) {
	start := p.LogStart()
	offset = max(offset, start)
	for offset < limit {
		ext, err := l.Read(offset, storage.ReadLimit{MaxBytes: scanBytes, Below: limit})
		if err != nil {
			return notFound, p.readFailed(err)
		}
		if ext == nil {
			return notFound, nil
		}
		found, next, err := p.firstIn(ext, ts, start)
		ext.Release()
		if err != nil || found.Offset != kafka.NoOffset {
			return found, err
		}
		if next <= offset {
			return notFound, nil
		}
		offset = next
	}
	return notFound, nil
}

func (p *Partition) firstIn(ext storage.Extent, ts kafka.Timestamp, start kafka.Offset) (found FoundOffset, next kafka.Offset, err error) {
	b, err := ext.Bytes()
	if err != nil {
		return notFound, 0, p.readFailed(err)
	}
	most := p.settings.Load().Rules.MaxDecompressed
	for h, batch := range b.All() {
		next = h.NextOffset()
		if h.MaxTimestamp < ts {
			continue
		}
		offset, at, err := record.FindTimestamp(batch, ts, start, most)
		if err != nil {
			return notFound, 0, kafka.Errorf(kafka.CodeOf(err), "the batch at offset %d of %s: %w", h.BaseOffset, p.id, err)
		}
		if offset != kafka.NoOffset {
			return FoundOffset{offset, at, h.LeaderEpoch}, next, nil
		}
	}
	return notFound, next, nil
}
