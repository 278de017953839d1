package isr

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// IsCatchingUp reports whether the high watermark has yet to reach the start of the epoch.
func (l *Leader) IsCatchingUp() bool { return l.hw < l.start }

// HighWatermark moves the high watermark to where it may be, and returns it (ISR-1, ISR-2). own is the offset below which everything is durable on the
// leader itself; least is min.insync.replicas (ISR-5).
func (l *Leader) HighWatermark(own kafka.Offset, least int, now time.Time) kafka.Offset {
	if len(l.committed) < min(least, l.replicas) {
		return l.hw
	}
	hw := own
	for i := range l.followers {
		f := &l.followers[i]
		if f.end < hw && (f.member || f.joining || l.chases(f, now)) {
			hw = f.end
		}
	}
	l.hw = max(l.hw, hw)
	return l.hw
}
