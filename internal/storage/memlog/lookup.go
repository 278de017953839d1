package memlog

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

var nowhere = storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}

// OffsetForTime implements storage.Log.
func (l *Log) OffsetForTime(ts kafka.Timestamp) (storage.OffsetTime, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.firstAt(ts), nil
}

// firstAt is the first batch above the log start whose max timestamp is at least ts. Segments and chunks that cannot have it are skipped.
func (l *Log) firstAt(ts kafka.Timestamp) storage.OffsetTime {
	for _, s := range l.segments {
		if s.max < ts {
			continue
		}
		for _, c := range s.chunks {
			if c.max < ts || c.next <= l.start {
				continue
			}
			for h := range c.bytes.All() {
				if h.MaxTimestamp >= ts && h.NextOffset() > l.start {
					return storage.OffsetTime{Offset: h.BaseOffset, Timestamp: h.MaxTimestamp}
				}
			}
		}
	}
	return nowhere
}

// MaxTimestamp implements storage.Log.
func (l *Log) MaxTimestamp() (storage.OffsetTime, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	best := nowhere
	for _, s := range l.segments {
		if s.max <= best.Timestamp {
			continue
		}
		for _, c := range s.chunks {
			if c.max <= best.Timestamp || c.next <= l.start {
				continue
			}
			for h := range c.bytes.All() {
				if h.MaxTimestamp > best.Timestamp && h.NextOffset() > l.start {
					best = storage.OffsetTime{Offset: h.BaseOffset, Timestamp: h.MaxTimestamp}
				}
			}
		}
	}
	return best, nil
}
