package partition

import (
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// What goes is always a prefix of whole segments below the high watermark; a segment's age is never hidden by a timestamp in the future.
func TestRetentionChoosesPrefix(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	stamp := func(d time.Duration) kafka.Timestamp { return kafka.Timestamp(now.Add(-d).UnixMilli()) }
	segment := func(base, next kafka.Offset, bytes int64, written time.Duration) storage.SegmentInfo {
		return storage.SegmentInfo{Base: base, Next: next, Bytes: bytes, MaxTimestamp: stamp(written), Created: ago(written), Modified: ago(written)}
	}
	future := segment(0, 10, 100, 3*time.Hour)
	future.MaxTimestamp = stamp(-24 * 365 * time.Hour)
	undated := segment(0, 10, 100, 3*time.Hour)
	undated.MaxTimestamp = kafka.NoTimestamp
	unknown := storage.SegmentInfo{Base: 0, Next: 10, Bytes: 100, MaxTimestamp: kafka.NoTimestamp}
	imported := segment(0, 10, 100, time.Minute)
	imported.MaxTimestamp = stamp(24 * 365 * time.Hour)
	old, young := segment(0, 10, 100, 3*time.Hour), segment(10, 20, 100, time.Minute)
	old2, empty := segment(10, 20, 100, 2*time.Hour), storage.SegmentInfo{Base: 20, Next: 20, MaxTimestamp: kafka.NoTimestamp, Active: true}
	hour := Retention{Time: time.Hour, Bytes: -1}
	for _, c := range []struct {
		name     string
		segments []storage.SegmentInfo
		r        Retention
		hw       kafka.Offset
		want     kafka.Offset
	}{
		{"nothing there", nil, hour, 0, -1},
		{"old goes, young stays", []storage.SegmentInfo{old, young, empty}, hour, 20, 10},
		{"all old, the empty active one stays", []storage.SegmentInfo{old, old2, empty}, hour, 20, 20},
		{"young first keeps the old behind it", []storage.SegmentInfo{segment(0, 10, 100, time.Minute), old2, empty}, hour, 20, -1},
		{"not beyond the high watermark", []storage.SegmentInfo{old, old2, empty}, hour, 15, 10},
		{"no limits", []storage.SegmentInfo{old, old2}, Retention{Time: -1, Bytes: -1}, 20, -1},
		{"a record dated next year does not block", []storage.SegmentInfo{future, young}, hour, 20, 10},
		{"no timestamps: the time of the append counts", []storage.SegmentInfo{undated, young}, hour, 20, 10},
		{"nothing known: stays", []storage.SegmentInfo{unknown, young}, hour, 20, -1},
		{"old records written just now are old", []storage.SegmentInfo{imported, young}, hour, 20, 10},
		{"exactly as old as allowed stays", []storage.SegmentInfo{segment(0, 10, 100, time.Hour), young}, hour, 20, -1},
		{"time zero", []storage.SegmentInfo{old, young}, Retention{Time: 0, Bytes: -1}, 20, 20},
		{"by size, at least the limit stays", []storage.SegmentInfo{old, old2, segment(20, 30, 100, 0)}, Retention{Time: -1, Bytes: 150}, 30, 10},
		{"by size, exactly the limit stays", []storage.SegmentInfo{old, old2, segment(20, 30, 100, 0)}, Retention{Time: -1, Bytes: 200}, 30, 10},
		{"by size, below the limit", []storage.SegmentInfo{old, old2}, Retention{Time: -1, Bytes: 201}, 30, -1},
		{"size zero", []storage.SegmentInfo{old, old2, empty}, Retention{Time: -1, Bytes: 0}, 30, 20},
		{"either limit is enough", []storage.SegmentInfo{old, young, segment(20, 30, 100, 0)}, Retention{Time: time.Hour, Bytes: 100}, 30, 20},
	} {
		if got := expired(c.segments, c.r, now, c.hw); got != c.want {
			t.Errorf("%s: below %d goes, want %d", c.name, got, c.want)
		}
	}
}
