package seglog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// TruncateTo implements storage.Log. It brings everything into segments, notes durably that it will cut, and cuts: a crash before the note
// leaves the log as it was, one after it as it is asked for, since the next load finishes what was begun (STO-4). The note also makes void
// what the journal has of the log.
func (l *Log) TruncateTo(end kafka.Offset) error {
	if err := l.load(); err != nil {
		return err
	}
	if end >= l.Bounds().End {
		return nil
	}
	if err := l.d.scarce(); err != nil { // a cut that is begun and cannot be finished takes the log offline
		return fmt.Errorf("truncate %s to %d: %w", l.id, end, err)
	}
	if err := l.Sync(context.Background(), l.Bounds().End); err != nil {
		return err
	}
	// A flush may have made durable what a round has in its frame and not in the journal yet: that frame comes before the floor, too.
	l.d.commit.settle()
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.flushHeld(); err != nil {
		return err
	}
	if err := l.changeEdges(func(e *edges) { e.cut, e.floor = end, l.d.journal.seq.Load() }); err != nil {
		return err
	}
	if err := l.cut(end); err != nil {
		err = fmt.Errorf("truncate %s to %d: %w", l.id, end, err)
		l.fail(err)
		return err
	}
	return nil
}

// cut carries a truncation out, in memory first, so that no reader finds what is going.
func (l *Log) cut(end kafka.Offset) error {
	l.mu.Lock()
	l.gen++
	l.cuts++
	old := l.segments
	var bases []kafka.Offset
	for _, s := range old {
		if s.exists {
			bases = append(bases, s.base)
		}
	}
	for _, b := range l.tail {
		b.release()
	}
	l.tail = nil
	l.segments = []*segment{newSegment(l.path, l.start)} // nothing, until the files are cut
	l.active = indexer{index: &index{}, base: l.start}
	l.end, l.durable, l.committedEnd = l.start, l.start, l.start
	l.mu.Unlock()
	for _, s := range old {
		l.e.files.wait(&s.handle)
	}
	bases, err := l.finishCut(bases, end)
	if err != nil {
		return err
	}
	if err := l.voidCheckpoint(); err != nil {
		return err
	}
	if err := l.changeEdges(func(e *edges) { e.cut = kafka.NoOffset }); err != nil {
		return err
	}
	return l.loadSegments(bases)
}

// voidCheckpoint makes the checkpoint file say nothing of the log, durably, before other bytes come to where it points.
func (l *Log) voidCheckpoint() error {
	l.mu.Lock()
	l.checkpoint = checkpoint{}
	l.mu.Unlock()
	return l.d.saveCheckpoints(false)
}

// removeFiles deletes a segment's files, the log as soon as no reader has it open.
func (l *Log) removeFiles(s *segment) {
	if !s.exists {
		return
	}
	l.e.files.remove(&s.handle)
	for _, suffix := range []string{indexSuffix, timeSuffix} {
		if err := l.e.fs.Remove(filepath.Join(l.path, fileName(s.base, suffix))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.e.opts.Logger.Warn("cannot delete an index file", "log", l.id.String(), "err", err)
		}
	}
}

// TrimTo implements storage.Log.
func (l *Log) TrimTo(start kafka.Offset) error {
	if err := l.load(); err != nil {
		return err
	}
	b := l.Bounds()
	if start > b.End {
		return kafka.Errorf(kafka.OffsetOutOfRange, "cannot trim %s to %d: it ends at %d", l.id, start, b.End)
	}
	if start <= b.Start {
		return nil
	}
	if err := l.Sync(context.Background(), start); err != nil {
		return err
	}
	if start == b.End {
		if err := l.Roll(); err != nil { // so that all there is can go
			return err
		}
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	n := 0
	for n < len(l.segments)-1 && l.segments[n].next <= start {
		n++
	}
	incomplete := n > 0 && (!l.segments[n-1].complete || !l.segments[n].exists)
	l.mu.Unlock()
	if err := l.changeEdges(func(e *edges) { e.start = start }); err != nil {
		return fmt.Errorf("trim %s to %d: %w", l.id, start, err)
	}
	if incomplete {
		if err := l.flushHeld(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.gen++
	l.start = max(l.start, start)
	for n > 0 && (!l.segments[n-1].complete || !l.segments[n].exists && l.segments[n].size > 0) {
		n-- // appended to meanwhile; the next trim takes it
	}
	gone := append([]*segment(nil), l.segments[:n]...)
	l.segments = append(l.segments[:0], l.segments[n:]...)
	keep := l.tail[:0]
	for _, blk := range l.tail {
		if len(l.segments) > 0 && blk.seg.base < l.segments[0].base {
			blk.release()
		} else {
			keep = append(keep, blk)
		}
	}
	clear(l.tail[len(keep):])
	l.tail = keep
	l.markLocked()
	l.mu.Unlock()
	for _, s := range gone { // the oldest first
		l.removeFiles(s)
	}
	if len(gone) > 0 {
		defer l.d.freed()
		return l.e.fs.SyncDir(l.path)
	}
	return nil
}

// finish writes the log out for a stop: segments cut to size, the active one's index beside it.
func (l *Log) finish() error {
	if !l.loaded.Load() {
		return nil
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	if l.failed != nil || l.removed || l.closed {
		l.mu.Unlock()
		return nil
	}
	l.syncNow = l.syncNow || l.loose > 0 || l.unsynced
	l.mu.Unlock()
	if err := l.flushHeld(); err != nil {
		return err
	}
	l.mu.Lock()
	s := l.activeLocked()
	x, m, any := l.active.index, l.active.max, l.active.any
	changed := s.exists && (l.appended > 0 || s.allocated > 0)
	l.mu.Unlock()
	if changed {
		if err := l.cutFile(s, s.size); err != nil {
			return err
		}
	}
	if s.exists && l.unsaved {
		if err := l.saveIndex(s, x, m, any); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, b := range l.tail {
		b.release()
	}
	l.tail = nil
	waiters := l.waiters
	l.waiters = nil
	for _, w := range waiters {
		w.done <- storage.ErrClosed
	}
	l.markLocked()
	return nil
}

// saveIndex writes the active segment's index, or takes away one that recovery has made out of date and nobody needed since.
func (l *Log) saveIndex(s *segment, x *index, m timeEntry, any bool) error {
	if x.from == 0 {
		return writeIndex(l.e.fs, l.path, s.base, "", x, m, any)
	}
	return l.removeIndex(s.base)
}

// removeIndex takes the index files of a segment away.
func (l *Log) removeIndex(base kafka.Offset) error {
	for _, suffix := range []string{indexSuffix, timeSuffix} {
		if err := l.e.fs.Remove(filepath.Join(l.path, fileName(base, suffix))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close implements storage.Log.
func (l *Log) Close() error {
	if err := l.finish(); err != nil {
		return err
	}
	l.e.mu.Lock()
	l.mu.Lock()
	l.closed = true
	if l.checkpoint.valid {
		l.d.known[l.id] = l.checkpoint
	}
	if l.e.logs[l.id] == l {
		delete(l.e.logs, l.id)
	}
	l.e.mu.Unlock()
	pinned := l.pinned
	l.pinned = nil
	for _, s := range l.segments {
		l.e.files.drop(&s.handle)
	}
	l.mu.Unlock()
	l.d.journal.unpin(l, pinned)
	return nil
}

// abandon takes a log out of use whose topic was removed before a crash: another of that name has come. When it returns, nobody writes
// into the directory for it any more. l may be nil.
func (l *Log) abandon() {
	if l == nil {
		return
	}
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	l.removed = true
	for _, b := range l.tail {
		b.release()
	}
	l.tail = nil
	pinned := l.pinned
	l.pinned = nil
	segs := l.segments
	l.mu.Unlock()
	l.d.journal.unpin(l, pinned)
	for _, s := range segs {
		l.e.files.drop(&s.handle)
	}
}

// remove deletes the log for good.
func (l *Log) remove() error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	if l.removed {
		l.mu.Unlock()
		return nil
	}
	l.removed = true
	l.gen++
	for _, b := range l.tail {
		b.release()
	}
	l.tail = nil
	waiters := l.waiters
	l.waiters = nil
	pinned := l.pinned
	l.pinned = nil
	used := l.committed > 0 || l.checkpoint.valid || l.side.made.Load() // now or before it was last opened: the journal may have entries
	segs := l.segments
	l.mu.Unlock()
	for _, w := range waiters {
		w.done <- fmt.Errorf("%s was removed: %w", l.id, storage.ErrClosed)
	}
	l.d.journal.unpin(l, pinned)
	for _, s := range segs {
		l.e.files.drop(&s.handle)
	}
	l.d.looseMu.Lock()
	delete(l.d.loose, l)
	l.d.looseMu.Unlock()
	if l.side.made.Load() || !l.loaded.Load() {
		if err := l.d.discard(l.path); err != nil {
			return fmt.Errorf("remove %s: %w", l.id, err)
		}
	}
	if used || !l.d.clean {
		return l.d.commit.forget(l.id)
	}
	return nil
}
