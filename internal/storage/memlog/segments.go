package memlog

import (
	"io/fs"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Segments implements storage.Segmented.
func (l *Log) Segments() []storage.SegmentInfo {
	l.mu.RLock()
	defer l.mu.RUnlock()
	infos := make([]storage.SegmentInfo, len(l.segments))
	for i, s := range l.segments {
		infos[i] = storage.SegmentInfo{
			Base: s.base, Next: s.next, Bytes: s.size, MaxTimestamp: s.max, Created: s.created, Modified: s.modified,
			Active: i == len(l.segments)-1,
		}
	}
	return infos
}

// Roll implements storage.Segmented.
func (l *Log) Roll() error {
	_, err := l.change(func() error {
		l.rollLocked()
		return nil
	})
	return err
}

func (l *Log) rollLocked() {
	if s := l.active(); s.size > 0 {
		s.seal()
		l.segments = append(l.segments, newSegment(l.end))
		l.noteLocked(kindRoll)
	}
}

// ReadSegment implements storage.Segmented.
func (l *Log) ReadSegment(base kafka.Offset, each func(record.Batches) error) error {
	l.mu.RLock()
	i := slices.IndexFunc(l.segments[:len(l.segments)-1], func(s *segment) bool { return s.base == base })
	if i < 0 {
		l.mu.RUnlock()
		return l.errorf("read the closed segment at %d: %w", base, fs.ErrNotExist)
	}
	chunks := l.segments[i].chunks
	l.mu.RUnlock()
	for _, c := range chunks { // of a closed segment, so they change no more
		if err := each(c.bytes); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceSegments implements storage.Segmented. The new content is one segment. write runs without any lock.
func (l *Log) ReplaceSegments(from, to kafka.Offset, write func(sink func(record.Batches) error) error) error {
	l.mu.RLock()
	i, n, err := l.closedRangeLocked(from, to)
	if err != nil {
		l.mu.RUnlock()
		return err
	}
	generation, modified := l.generation, l.segments[i+n-1].modified
	l.mu.RUnlock()
	fresh, next := newSegment(from), from
	err = write(func(b record.Batches) error {
		size := 0
		for h, batch := range b.All() {
			if h.BaseOffset < next || h.NextOffset() > to || h.LastOffsetDelta < 0 {
				return l.errorf("replace %d to %d: batch %d to %d comes after %d", from, to, h.BaseOffset, h.LastOffset(), next)
			}
			fresh.add(&h, batch, modified)
			next = h.NextOffset()
			size += len(batch)
		}
		if size != len(b) {
			return l.errorf("replace %d to %d: %d bytes, of which %d are whole batches", from, to, len(b), size)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fresh.seal()
	return l.changeDurably(func() error {
		if i, n, err = l.closedRangeLocked(from, to); err != nil {
			return err // trimmed meanwhile
		}
		if l.generation != generation {
			return l.errorf("replace %d to %d: the log was truncated meanwhile", from, to)
		}
		l.putLocked(i, n, fresh, to)
		l.noteLocked(kindReplace, numbers(int64(from), int64(to)))
		for _, c := range fresh.chunks {
			l.noteLocked(kindContent, c.bytes)
		}
		l.noteLocked(kindReplaced)
		return nil
	})
}

// putLocked puts a segment in place of n closed ones from index i, which end at to. Its age is theirs.
func (l *Log) putLocked(i, n int, fresh *segment, to kafka.Offset) {
	fresh.next, fresh.created, fresh.modified = to, l.segments[i].created, l.segments[i+n-1].modified
	l.segments = slices.Replace(slices.Clone(l.segments), i, i+n, fresh)
}

// closedRangeLocked finds the n closed segments from index i that are exactly [from, to).
func (l *Log) closedRangeLocked(from, to kafka.Offset) (i, n int, err error) {
	closed := l.segments[:len(l.segments)-1]
	i = slices.IndexFunc(closed, func(s *segment) bool { return s.base == from })
	for i >= 0 && i+n < len(closed) && closed[i+n].next <= to {
		n++
	}
	if n == 0 || closed[i+n-1].next != to {
		return 0, 0, l.errorf("offsets %d to %d are not whole closed segments", from, to)
	}
	return i, n, nil
}
