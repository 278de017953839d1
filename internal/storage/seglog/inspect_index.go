package seglog

import (
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// CheckIndex implements storage.Inspected (SEG-2).
func (l *Log) CheckIndex(base kafka.Offset) (good bool, err error) {
	if err := l.load(); err != nil {
		return false, err
	}
	l.flushMu.Lock() // so that nobody makes another segment of it meanwhile
	defer l.flushMu.Unlock()
	l.mu.Lock()
	i := segmentFor(l.segments, base)
	if i < 0 || l.segments[i].base != base || !l.segments[i].complete {
		l.mu.Unlock()
		return true, l.usable()
	}
	s, size, interval := l.segments[i], l.segments[i].size, l.cfg.IndexInterval
	l.mu.Unlock()
	said, ok := l.indexFiles(s, size)
	ix := &indexer{index: &index{}, base: s.base}
	known := 0 // entries of said that were met
	var largest timeEntry
	end, _, err := scanFile(l.e.fs, s.handle.path, 0, size, s.base, func(h record.Header, pos int64, _ []byte) bool {
		ix.add(&h, pos, interval)
		if ok && known < len(said.offsets) && int64(said.offsets[known].pos) == pos && int64(said.offsets[known].rel) == int64(h.LastOffset()-s.base) {
			known++
		}
		return true
	})
	if err != nil || end != size {
		return true, err // the segment itself is damaged, which is for others to find
	}
	ix.addTime()
	if ok {
		if n := len(said.times); n > 0 {
			largest = said.times[n-1]
		}
		if known == len(said.offsets) && (!ix.any || largest.ts == ix.max.ts) {
			return true, nil
		}
	}
	if err := writeIndex(l.e.fs, l.path, s.base, "", ix.index, ix.max, ix.any); err != nil {
		return false, err
	}
	l.mu.Lock()
	s.index, s.max, s.any = ix.index, ix.max, ix.any
	l.e.keepIndex(l, s)
	l.mu.Unlock()
	return false, nil
}

func (l *Log) usable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.usableLocked()
}

// indexFiles reads the index files of a segment; false if they are not believable.
func (l *Log) indexFiles(s *segment, size int64) (*index, bool) {
	limit := size/record.HeaderSize*timeEntrySize + (16 << 20)
	offsets, err1 := readFile(l.e.fs, filepath.Join(l.path, fileName(s.base, indexSuffix)), limit)
	times, err2 := readFile(l.e.fs, filepath.Join(l.path, fileName(s.base, timeSuffix)), limit)
	if err1 != nil || err2 != nil {
		return nil, false
	}
	return decodeIndex(offsets, times, max(size, 1))
}
