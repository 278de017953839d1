package seglog

import (
	"errors"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// indexesKept is how many closed segments' indexes stay in memory, over all logs.
const indexesKept = 256

// indexOf is the index of a segment as far as it is in memory, or nil.
func (l *Log) indexOfLocked(s *segment) *index {
	if s == l.activeLocked() {
		return l.active.index
	}
	return s.index
}

// completeIndex reads or rebuilds the index of a segment that has none in memory, or only of its end because recovery began in its middle.
func (l *Log) completeIndex(s *segment, trust bool) error {
	l.mu.Lock()
	size, interval, have, gen := s.size, l.cfg.IndexInterval, l.indexOfLocked(s), l.gen
	l.mu.Unlock()
	if have != nil {
		if have.from == 0 {
			return nil
		}
		size, trust = have.from, false
	}
	x, m, any, err := loadIndex(l.e.fs, l.path, s, size, interval, trust)
	l.mu.Lock()
	defer l.mu.Unlock()
	if gen != l.gen {
		return nil // cut under our hands: the caller looks again
	}
	if err != nil {
		return err
	}
	now := l.indexOfLocked(s)
	switch {
	case now != have:
		// Somebody was faster, or the log was cut.
	case have == nil:
		s.index, s.max, s.any = x, m, any
		l.e.keepIndex(l, s)
	case have.from == size:
		have.prepend(x)
	}
	return nil
}

// dropIndex forgets an index that did not tell the truth, so that it is rebuilt from the segment (SEG-2).
func (l *Log) dropIndex(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.sealed {
		s.index = nil
	}
}

type keptIndex struct {
	log *Log
	s   *segment
}

// keepIndex notes that s's index is in memory and lets go of the one that has been there longest. The caller holds l.mu.
func (e *Engine) keepIndex(l *Log, s *segment) {
	e.indexMu.Lock()
	e.indexes = append(e.indexes, keptIndex{l, s})
	var old keptIndex
	if len(e.indexes) > indexesKept {
		old = e.indexes[0]
		e.indexes = append(e.indexes[:0], e.indexes[1:]...)
	}
	e.indexMu.Unlock()
	switch {
	case old.log == nil:
	case old.log == l:
		if old.s.complete && old.s != s {
			old.s.index = nil
		}
	case old.log.mu.TryLock(): // two logs' locks are never waited for together
		if old.s.complete {
			old.s.index = nil
		}
		old.log.mu.Unlock()
	}
}

// maxOf is the largest timestamp of a segment. A closed segment's is the last entry of its time index.
func (l *Log) maxOf(s *segment) (timeEntry, bool, error) {
	for {
		l.mu.Lock()
		m, any, known := s.max, s.any, s.any || s.size == 0 || !s.sealed
		l.mu.Unlock()
		if known {
			return m, any, nil
		}
		if b, err := readFile(l.e.fs, filepath.Join(l.path, fileName(s.base, timeSuffix)), 64<<20); err == nil {
			if x, ok := decodeIndex(nil, b, 1); ok && len(x.times) > 0 {
				l.mu.Lock()
				s.max, s.any = x.times[len(x.times)-1], true
				l.mu.Unlock()
				continue
			}
		}
		if err := l.completeIndex(s, false); err != nil {
			return timeEntry{}, false, err
		}
		l.mu.Lock()
		m, any = s.max, s.any
		l.mu.Unlock()
		return m, any, nil
	}
}

// search looks through the segments of this moment. When it fails because the log was cut or trimmed meanwhile, it looks again.
func (l *Log) search(look func(segs []*segment, start kafka.Offset) (storage.OffsetTime, error)) (storage.OffsetTime, error) {
	none := storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}
	if err := l.load(); err != nil {
		return none, err
	}
	for {
		l.mu.Lock()
		segs, start, gen, failed := append([]*segment(nil), l.segments...), l.start, l.gen, l.failed
		l.mu.Unlock()
		if failed != nil {
			return none, failed
		}
		found, err := look(segs, start)
		if err == nil {
			return found, nil
		}
		l.mu.Lock()
		same := gen == l.gen
		l.mu.Unlock()
		if same {
			return none, err
		}
	}
}

// OffsetForTime implements storage.Log.
func (l *Log) OffsetForTime(ts kafka.Timestamp) (storage.OffsetTime, error) {
	return l.search(func(segs []*segment, start kafka.Offset) (storage.OffsetTime, error) {
		return l.offsetForTime(segs, start, ts)
	})
}

func (l *Log) offsetForTime(segs []*segment, start kafka.Offset, ts kafka.Timestamp) (storage.OffsetTime, error) {
	none := storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}
	for _, s := range segs {
		m, any, err := l.maxOf(s)
		if err != nil {
			return none, err
		}
		if !any || m.ts < ts {
			continue
		}
		from := max(s.base, start)
		l.mu.Lock()
		if x := l.indexOfLocked(s); x != nil && x.from == 0 {
			if rel, ok := x.floorTime(ts); ok {
				from = max(from, s.base+kafka.Offset(rel)+1)
			}
		}
		end := l.end
		l.mu.Unlock()
		for from < end {
			found, next, err := l.firstAt(from, ts)
			if err != nil {
				return none, err
			}
			if found.Offset >= 0 {
				return found, nil
			}
			if next <= from {
				break
			}
			from = next
		}
		return none, nil
	}
	return none, nil
}

// firstAt looks in one read from from on for the first batch with a timestamp of at least ts; next is where to go on.
func (l *Log) firstAt(from kafka.Offset, ts kafka.Timestamp) (found storage.OffsetTime, next kafka.Offset, err error) {
	found.Offset = kafka.NoOffset
	x, err := l.Read(from, storage.ReadLimit{MaxBytes: 1 << 20, Below: kafka.NoOffset})
	if errors.Is(err, kafka.OffsetOutOfRange) && l.Bounds().Start > from {
		return found, l.Bounds().Start, nil // trimmed meanwhile
	}
	if err != nil || x == nil {
		return found, from, unlessOutOfRange(err)
	}
	defer x.Release()
	b, err := x.Bytes()
	if err != nil {
		return found, from, err
	}
	for h := range b.All() {
		if h.MaxTimestamp >= ts {
			return storage.OffsetTime{Offset: h.BaseOffset, Timestamp: h.MaxTimestamp}, h.NextOffset(), nil
		}
		next = h.NextOffset()
	}
	return found, next, nil
}

// unlessOutOfRange: a log that was cut under a search has nothing there any more, which is no error.
func unlessOutOfRange(err error) error {
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return nil
	}
	return err
}

// MaxTimestamp implements storage.Log.
func (l *Log) MaxTimestamp() (storage.OffsetTime, error) { return l.search(l.maxTimestamp) }

func (l *Log) maxTimestamp(segs []*segment, start kafka.Offset) (storage.OffsetTime, error) {
	best := storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}
	for _, s := range segs {
		m, any, err := l.maxOf(s)
		if err != nil {
			return best, err
		}
		if !any || m.ts <= best.Timestamp {
			continue
		}
		off := s.base + kafka.Offset(m.rel)
		if off < start { // look at what is above the log start
			above, err := l.maxBetween(start, s.next)
			if err != nil {
				return best, err
			}
			if above.Timestamp > best.Timestamp {
				best = above
			}
			continue
		}
		if best, err = l.maxBetween(off, off+1); err != nil {
			return best, err
		}
	}
	return best, nil
}

// maxBetween is the first batch with the largest timestamp among those that reach into [from, to).
func (l *Log) maxBetween(from, to kafka.Offset) (storage.OffsetTime, error) {
	best := storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}
	for from < to {
		x, err := l.Read(from, storage.ReadLimit{MaxBytes: 1 << 20, Below: to})
		if errors.Is(err, kafka.OffsetOutOfRange) && l.Bounds().Start > from {
			from = l.Bounds().Start // trimmed meanwhile
			continue
		}
		if err != nil || x == nil {
			return best, unlessOutOfRange(err)
		}
		b, err := x.Bytes()
		if err != nil {
			x.Release()
			return best, err
		}
		for h := range b.All() {
			if h.MaxTimestamp > best.Timestamp {
				best = storage.OffsetTime{Offset: h.BaseOffset, Timestamp: h.MaxTimestamp}
			}
			from = h.NextOffset()
		}
		x.Release()
	}
	return best, nil
}

// Segments implements storage.Segmented.
func (l *Log) Segments() []storage.SegmentInfo {
	if l.load() != nil {
		return nil
	}
	l.mu.Lock()
	segs := append([]*segment(nil), l.segments...)
	l.mu.Unlock()
	infos := make([]storage.SegmentInfo, 0, len(segs))
	for i, s := range segs {
		m, any, err := l.maxOf(s)
		if err != nil || !any {
			m.ts = kafka.NoTimestamp
		}
		l.mu.Lock()
		infos = append(infos, storage.SegmentInfo{
			Base: s.base, Next: s.next, Bytes: s.size, MaxTimestamp: m.ts, Created: s.created, Modified: s.modified, Active: i == len(segs)-1,
		})
		l.mu.Unlock()
	}
	return infos
}
