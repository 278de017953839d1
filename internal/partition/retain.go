package partition

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// Retain closes an active segment that is older than segment.ms even if no record comes in, and removes what retention.ms and
// retention.bytes do not ask to keep. What a transaction is open in stays, and what comes after it; delayed records stay until
// they are released (keepDelayed). A topic that is only compacted is never
// aged. A follower removes nothing by itself: its log starts where that of its leader does (LeaderSaid). It waits for the disk.
func (p *Partition) Retain(ctx context.Context, now time.Time) error {
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	if p.role.Load().Gone != nil {
		return nil
	}
	l, err := p.use()
	if err != nil {
		return err
	}
	segmented, ok := l.Log.(storage.Segmented)
	if !ok {
		return nil
	}
	s := p.settings.Load()
	if err := p.rollAged(l, s, now); err != nil {
		return fmt.Errorf("roll %s: %w", p.id, err)
	}
	if !s.Delete || !p.role.Load().IsLeader {
		return nil
	}
	keep := Retention{Time: s.RetentionTime, Bytes: s.RetentionBytes}
	if expired(segmented.Segments(), keep, now, p.HighWatermark()) == kafka.NoOffset {
		return nil
	}
	if _, err := p.load(); err != nil { // only now: what is stable depends on the producers
		return err
	}
	segments := segmented.Segments()
	upto := expired(segments, keep, now, p.LastStable())
	if upto == kafka.NoOffset {
		return nil
	}
	kept, err := p.keepDelayed(ctx, l, upto, bytesBelow(segments, upto), now)
	if err != nil {
		return fmt.Errorf("move the delayed records of %s: %w", p.id, err)
	}
	if kept < upto {
		if upto = expired(segments, keep, now, kept); upto == kafka.NoOffset {
			return nil
		}
	}
	p.mu.Lock()
	active, ok := activeSegment(segmented.Segments())
	if ok && active.Base < upto {
		if active.Next > upto {
			// Something was appended since: the segment is no longer too old.
			upto = active.Base
		} else if err := segmented.Roll(); err != nil {
			p.mu.Unlock()
			return fmt.Errorf("roll %s: %w", p.id, err)
		}
	}
	p.mu.Unlock()
	switch err := p.trimLocked(ctx, l, upto); {
	case errors.Is(err, errUncommitted): // another time
	case err != nil:
		return fmt.Errorf("remove expired segments of %s: %w", p.id, err)
	}
	return nil
}

func bytesBelow(segments []storage.SegmentInfo, offset kafka.Offset) (n int64) {
	for i := range segments {
		if segments[i].Next <= offset {
			n += segments[i].Bytes
		}
	}
	return n
}

func (p *Partition) rollAged(l *openLog, s *Settings, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rollIfDueLocked(l, s, now)
}

// segmentAge is segment.ms less this partition's part of segment.jitter.ms, so that partitions made together do not roll together.
func (p *Partition) segmentAge(s *Settings) time.Duration {
	age := s.Log.SegmentAge
	if age <= 0 {
		age = 7 * 24 * time.Hour
	}
	if s.SegmentJitter > 0 {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s", p.id)
		age -= time.Duration(h.Sum64() % uint64(s.SegmentJitter))
	}
	return max(age, time.Millisecond)
}
