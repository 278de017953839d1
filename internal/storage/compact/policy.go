package compact

import (
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Strategy is what compaction keeps (rafka.compaction.strategy).
type Strategy int

const (
	// KeepLatest keeps the latest record of each key: Kafka's compaction.
	KeepLatest Strategy = iota
	// TimeWindow keeps the records that are younger than the window, whatever their key, with or without one.
	TimeWindow
	// Hybrid removes what is older than the window and keeps the latest of each key in what is left.
	Hybrid
)

var strategyNames = [...]string{KeepLatest: "keep_latest", TimeWindow: "time_window", Hybrid: "hybrid"}

// String is the strategy as rafka.compaction.strategy has it.
func (s Strategy) String() string {
	if s < 0 || int(s) >= len(strategyNames) {
		return fmt.Sprintf("strategy %d", int(s))
	}
	return strategyNames[s]
}

// ParseStrategy reads what String writes.
func ParseStrategy(s string) (Strategy, error) {
	for i, name := range strategyNames {
		if s == name {
			return Strategy(i), nil
		}
	}
	return 0, kafka.Errorf(kafka.InvalidConfig, "rafka.compaction.strategy is %q: use keep_latest, time_window or hybrid", s)
}

// Policy is what a topic asks of compaction.
type Policy struct {
	Strategy        Strategy
	Window          time.Duration // rafka.compaction.window.ms, of TimeWindow and Hybrid; not positive: no window
	MinDirtyRatio   float64       // min.cleanable.dirty.ratio
	MinLag          time.Duration // min.compaction.lag.ms: what is younger is not touched
	MaxLag          time.Duration // max.compaction.lag.ms: what is older is compacted whatever the ratio; not positive: no limit
	DeleteRetention time.Duration // delete.retention.ms: how long tombstones and markers of vanished transactions stay
	SegmentBytes    int64         // segment.bytes: small segments are joined up to this size; not positive: never
}

// windowStart is the time before which records go; NoTimestamp if none do.
func (p *Policy) windowStart(now time.Time) kafka.Timestamp {
	if p.Strategy == KeepLatest || p.Window <= 0 {
		return kafka.NoTimestamp
	}
	return kafka.Timestamp(now.Add(-p.Window).UnixMilli())
}

// byKey reports whether the latest record of a key displaces the others.
func (p *Policy) byKey() bool { return p.Strategy != TimeWindow }
