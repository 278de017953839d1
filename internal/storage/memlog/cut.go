package memlog

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// TruncateTo implements storage.Log. It waits for an OnDurable that is under way, so that none from before it comes after it.
func (l *Log) TruncateTo(end kafka.Offset) error {
	if w := l.e.wal; w != nil {
		w.telling.Lock()
		defer w.telling.Unlock()
	}
	_, err := l.change(func() error {
		if end < l.end {
			l.truncateLocked(end)
			l.noteLocked(kindTruncate, numbers(int64(end)))
		}
		return nil
	})
	return err
}

// truncateLocked drops the segments that lose everything; the one that is cut becomes active again.
func (l *Log) truncateLocked(end kafka.Offset) {
	n := len(l.segments)
	for n > 1 && l.segments[n-1].base >= end {
		n--
	}
	l.segments = slices.Clone(l.segments[:n])
	s := l.active()
	s.truncate(end)
	s.next = max(s.next, l.start)
	l.end = s.next
	l.durable = min(l.durable, l.end)
	l.generation++
}

// TrimTo implements storage.Log.
func (l *Log) TrimTo(start kafka.Offset) error {
	return l.changeDurably(func() error {
		if start > l.end {
			return kafka.Errorf(kafka.OffsetOutOfRange, "cannot trim %s to %d: it ends at %d", l.id, start, l.end)
		}
		if start > l.start {
			l.trimLocked(start)
			l.noteLocked(kindTrim, numbers(int64(start)))
		}
		return nil
	})
}

func (l *Log) trimLocked(start kafka.Offset) {
	l.start = max(l.start, min(start, l.end))
	if l.start == l.end {
		l.rollLocked()
	}
	n := 0
	for n < len(l.segments)-1 && l.segments[n].next <= l.start {
		n++
	}
	l.segments = slices.Clone(l.segments[n:])
}
