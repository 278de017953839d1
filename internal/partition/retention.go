package partition

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// Retention is how long a log keeps its records.
type Retention struct {
	Time  time.Duration // retention.ms; negative: for ever
	Bytes int64         // retention.bytes; negative: no limit
}

// expired is the offset below which nothing need be kept: the end of the longest prefix of whole segments in which every segment is
// too old, or too much. NoOffset if the first must stay. Segments that reach beyond stable stay. The active segment may
// be among the expired; who acts on it rolls it first.
//
// Example: 3 segments of 1 GiB, Bytes 1.5 GiB. Without the first there are 2 GiB left, which is still enough to keep, so it goes;
// without the second there would be 1 GiB, which is too little, so it stays.
func expired(segments []storage.SegmentInfo, r Retention, now time.Time, stable kafka.Offset) kafka.Offset {
	var total int64
	for i := range segments {
		total += segments[i].Bytes
	}
	upto := kafka.NoOffset
	for i := range segments {
		s := &segments[i]
		tooOld := r.Time >= 0 && now.Sub(lastWritten(s, now)) > r.Time
		tooMuch := r.Bytes >= 0 && total-s.Bytes >= r.Bytes
		if s.Bytes == 0 || s.Next > stable || !tooOld && !tooMuch {
			break
		}
		total -= s.Bytes
		upto = s.Next
	}
	return upto
}

// lastWritten is the time from which a segment's age counts: its largest timestamp, as Kafka has it, but never later than the last
// append to its file. A record dated next year would otherwise keep its segment, and all that follow, until next year. A segment of
// which neither is known counts as written now.
func lastWritten(s *storage.SegmentInfo, now time.Time) time.Time {
	latest := s.Modified
	if latest.IsZero() || latest.After(now) {
		latest = now
	}
	if s.MaxTimestamp >= 0 {
		if t := time.UnixMilli(int64(s.MaxTimestamp)); t.Before(latest) {
			return t
		}
	}
	return latest
}
