package seglog

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// ReadSegment implements storage.Segmented.
func (l *Log) ReadSegment(base kafka.Offset, each func(record.Batches) error) error {
	if err := l.load(); err != nil {
		return err
	}
	l.mu.Lock()
	i := segmentFor(l.segments, base)
	if i < 0 || l.segments[i].base != base {
		l.mu.Unlock()
		return fmt.Errorf("%s has no segment %d", l.id, base)
	}
	s := l.segments[i]
	complete, size := s.complete, s.size
	l.mu.Unlock()
	if !complete {
		if err := l.flush(); err != nil {
			return err
		}
	}
	var failed error
	end, next, err := scanFile(l.e.fs, s.handle.path, 0, size, s.base, func(_ record.Header, _ int64, batch []byte) bool {
		failed = each(batch)
		return failed == nil
	})
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return err
	case end != size:
		err := damagedAt(s.handle.path, end, "no valid batch")
		l.rotten(next, err)
		return err
	}
	return nil
}

// ReplaceSegments implements storage.Segmented (SEG-4). The new content is written beside the old; the rename to .swap is the moment at which
// it counts, everything after it is done again by the next load if need be.
func (l *Log) ReplaceSegments(from, to kafka.Offset, write func(sink func(record.Batches) error) error) error {
	if err := l.load(); err != nil {
		return err
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return err
	}
	a := segmentFor(l.segments, from)
	z := a
	for z < len(l.segments) && l.segments[z].next <= to && l.segments[z].complete {
		z++
	}
	if a < 0 || z == a || l.segments[a].base != from || l.segments[z-1].next != to {
		l.mu.Unlock()
		return fmt.Errorf("replace [%d, %d) of %s: not whole closed segments", from, to, l.id)
	}
	old, after := append([]*segment(nil), l.segments[a:z]...), l.segments[z]
	interval := l.cfg.IndexInterval
	l.mu.Unlock()
	if err := l.makeFile(after); err != nil { // else a crash would take the new content's last offset for the log end
		return err
	}

	s := newSegment(l.path, from)
	cleaned := filepath.Join(l.path, fileName(from, logSuffix)+cleanedSuffix)
	x, err := l.writeCleaned(cleaned, s, to, interval, write)
	if err != nil {
		_ = l.e.fs.Remove(cleaned)
		return fmt.Errorf("replace [%d, %d) of %s: %w", from, to, l.id, err)
	}
	swap := swapName(from, to)
	if err := l.e.fs.Rename(cleaned, filepath.Join(l.path, swap)); err != nil {
		return err
	}
	if err := l.e.fs.SyncDir(l.path); err != nil {
		l.fail(err)
		return err
	}
	s.sealed, s.complete, s.exists, s.index = true, true, true, x.index
	s.next, s.max, s.any = to, x.max, x.any
	s.created, s.modified = old[0].created, old[len(old)-1].modified
	l.mu.Lock()
	l.gen++
	l.segments = append(l.segments[:a], append([]*segment{s}, l.segments[z:]...)...)
	keep := l.tail[:0]
	for _, b := range l.tail {
		if b.seg.base >= from && b.seg.base < to {
			b.release()
		} else {
			keep = append(keep, b)
		}
	}
	clear(l.tail[len(keep):])
	l.tail = keep
	l.e.keepIndex(l, s)
	l.mu.Unlock()
	for _, o := range old {
		l.e.files.retire(&o.handle)
	}
	names, err := l.e.fs.List(l.path)
	if err == nil {
		err = l.finishSwap(swap, from, to, names)
	}
	if err == nil {
		err = writeIndex(l.e.fs, l.path, from, "", x.index, x.max, x.any)
		if errors.Is(err, vfs.ErrNoSpace) {
			err = l.removeIndex(from) // half of one would be believed; without one it is made from the batches (SEG-2)
		}
	}
	if err != nil {
		l.fail(err)
		return err
	}
	l.mu.Lock()
	l.markLocked()
	l.mu.Unlock()
	return nil
}

// makeFile makes the file of the active segment, durably, if nothing was written to it yet. The caller holds flushMu.
func (l *Log) makeFile(s *segment) error {
	if s.exists {
		return nil
	}
	if _, err := l.e.files.acquire(&s.handle, true); err != nil {
		return err
	}
	l.e.files.release(&s.handle)
	if err := l.e.fs.SyncDir(l.path); err != nil {
		return err
	}
	s.exists = true
	return nil
}

// writeCleaned writes the new content, durably.
func (l *Log) writeCleaned(path string, s *segment, to kafka.Offset, interval int, write func(func(record.Batches) error) error) (x indexer, err error) {
	f, err := l.e.fs.Open(path, vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return x, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	x = indexer{index: &index{}, base: s.base}
	next := s.base
	err = write(func(b record.Batches) error {
		n := 0
		for h, batch := range b.All() {
			if h.BaseOffset < next || h.NextOffset() > to {
				return fmt.Errorf("batch [%d, %d] does not belong into [%d, %d)", h.BaseOffset, h.LastOffset(), next, to)
			}
			x.add(&h, s.size+int64(n), interval)
			next = h.NextOffset()
			n += len(batch)
		}
		if n != len(b) {
			return io.ErrUnexpectedEOF
		}
		if _, err := f.WriteAt(b, s.size); err != nil {
			return err
		}
		s.size += int64(n)
		return nil
	})
	if err != nil {
		return x, err
	}
	x.addTime()
	return x, f.Sync()
}

var _ storage.Segmented = (*Log)(nil)
