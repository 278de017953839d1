package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// load reads what is on disk, once, when the log is first used: so ten thousand idle partitions cost a start nothing.
func (l *Log) load() error {
	if l.loaded.Load() {
		return nil
	}
	l.loadOnce.Lock()
	defer l.loadOnce.Unlock()
	if l.loaded.Load() {
		return nil
	}
	l.mu.Lock()
	err := l.usableLocked()
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := l.d.failure(); err != nil {
		return err
	}
	if err := l.loadHeld(); errors.Is(err, vfs.ErrNoSpace) {
		return fmt.Errorf("open %s: %w", l.id, asFull(err)) // to be tried again
	} else if err != nil {
		l.fail(fmt.Errorf("open: %w", err))
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.failed
	}
	l.loaded.Store(true)
	return nil
}

func (l *Log) loadHeld() error {
	names, err := l.e.fs.List(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		names, err = nil, nil
	}
	if err != nil {
		return err
	}
	if names != nil {
		if names, err = l.claimDir(names); err != nil {
			return err
		}
	}
	if names, err = l.settleSwaps(names); err != nil {
		return err
	}
	var bases []kafka.Offset
	for _, n := range names {
		if b, ok := parseFileName(n, logSuffix); ok {
			bases = append(bases, b)
		}
	}
	slices.Sort(bases)
	eg, err := l.readEdges()
	if err != nil {
		return err
	}
	if eg.cut >= 0 {
		if bases, err = l.finishCut(bases, eg.cut); err != nil {
			return err
		}
		if err := l.voidCheckpoint(); err != nil {
			return err
		}
		eg.cut = kafka.NoOffset
		if err := l.writeEdges(eg); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.edges = eg
	l.mu.Unlock()
	return l.loadSegments(bases)
}

// loadSegments makes the log what its files say. bases are the segments there are.
func (l *Log) loadSegments(bases []kafka.Offset) error {
	l.mu.Lock()
	cp, start := l.checkpoint, l.edges.start
	l.mu.Unlock()
	if len(bases) == 0 {
		if cp.valid && cp.pos > 0 {
			return damagedAt(filepath.Join(l.path, fileName(cp.base, logSuffix)), 0, "the file is gone, it had records up to offset %d", cp.next)
		}
		if !l.d.replayed.Load() {
			start = 0 // what was trimmed may be in the journal yet
		}
		s := newSegment(l.path, start)
		l.mu.Lock()
		l.segments = []*segment{s}
		l.active = indexer{index: &index{}, base: start}
		l.start, l.durable, l.end, l.committedEnd = start, start, start, start
		l.mu.Unlock()
		return nil
	}
	segs := make([]*segment, len(bases))
	for i, b := range bases {
		info, err := l.e.fs.Stat(filepath.Join(l.path, fileName(b, logSuffix)))
		if err != nil {
			return err
		}
		s := newSegment(l.path, b)
		s.size, s.modified, s.exists = info.Size, info.ModTime, true
		if i > 0 {
			segs[i-1].next, segs[i-1].sealed, segs[i-1].complete = b, true, true
		}
		segs[i] = s
	}
	active, stale, err := l.recover(segs[len(segs)-1])
	if err != nil {
		return err
	}
	end := segs[len(segs)-1].next
	start = max(start, bases[0])
	l.mu.Lock()
	l.unsaved = true
	l.segments, l.active = segs, active
	l.start, l.durable, l.end, l.committedEnd = min(start, end), end, end, end
	if start > end && l.d.replayed.Load() {
		l.skipLocked()
	}
	l.checkpoint.base, l.checkpoint.pos, l.checkpoint.next = segs[len(segs)-1].base, segs[len(segs)-1].size, end
	l.markLocked()
	l.mu.Unlock()
	if stale {
		// The file speaks of bytes that are not there. It must not be believed when others have come in their place.
		if err := l.d.saveCheckpoints(false); err != nil {
			l.mu.Lock()
			l.checkpoint = cp // so that the next load knows
			l.mu.Unlock()
			return err
		}
	}
	return nil
}

// claimDir sees that the directory is of this incarnation of the topic. One of another is moved away to be deleted.
func (l *Log) claimDir(names []string) ([]string, error) {
	id, err := readTopicID(l.e.fs, l.path)
	switch {
	case err == nil && id == l.id.TopicID:
		l.side.made.Store(true)
		return names, nil
	case err == nil:
		l.e.opts.Logger.Warn("directory belongs to an earlier topic of that name, deleting it", "dir", l.path, "topic_id", id.String())
		return nil, l.d.discard(l.path)
	case errors.Is(err, fs.ErrNotExist):
		return names, nil // Kafka before 2.8 wrote none; a crash may have come before ours. makeDir writes it.
	}
	return nil, err
}

// settleSwaps brings a replacement that a crash interrupted to its end (SEG-4): what is .cleaned never happened, what is .swap did.
func (l *Log) settleSwaps(names []string) ([]string, error) {
	var swaps []string
	for _, n := range names {
		switch {
		case strings.HasSuffix(n, cleanedSuffix), strings.HasSuffix(n, deletedSuffix), strings.HasSuffix(n, ".tmp"):
			if err := l.e.fs.Remove(filepath.Join(l.path, n)); err != nil {
				return nil, err
			}
		case strings.HasSuffix(n, swapSuffix):
			swaps = append(swaps, n)
		}
	}
	for _, n := range swaps {
		from, to, ok := parseSwapName(n)
		if !ok {
			return nil, damagedAt(filepath.Join(l.path, n), 0, "not a name of ours")
		}
		if err := l.finishSwap(n, from, to, names); err != nil {
			return nil, err
		}
	}
	if len(swaps) > 0 {
		return l.e.fs.List(l.path)
	}
	return names, nil
}

func swapName(from, to kafka.Offset) string {
	return fmt.Sprintf("%020d.%020d%s", int64(from), int64(to), swapSuffix)
}

func parseSwapName(n string) (from, to kafka.Offset, ok bool) {
	a, b, found := strings.Cut(strings.TrimSuffix(n, swapSuffix), ".")
	f, err1 := strconv.ParseInt(a, 10, 64)
	t, err2 := strconv.ParseInt(b, 10, 64)
	return kafka.Offset(f), kafka.Offset(t), found && err1 == nil && err2 == nil && 0 <= f && f < t
}

// finishSwap removes the files of the segments in [from, to) and gives the swap file the name of the first.
func (l *Log) finishSwap(swap string, from, to kafka.Offset, names []string) error {
	for _, n := range names {
		for _, suffix := range []string{indexSuffix, timeSuffix, logSuffix} {
			if b, ok := parseFileName(n, suffix); ok && from <= b && b < to && !(b == from && suffix == logSuffix) {
				if err := l.e.fs.Remove(filepath.Join(l.path, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	// The old ones are gone for good before the new one looks like one of them.
	if err := l.e.fs.SyncDir(l.path); err != nil {
		return err
	}
	if err := l.e.fs.Rename(filepath.Join(l.path, swap), filepath.Join(l.path, fileName(from, logSuffix))); err != nil {
		return err
	}
	return l.e.fs.SyncDir(l.path)
}

// recover finds the end of the last segment. After a clean stop it is where the checkpoint says; after a crash everything from the recovery
// point on is checked and the tail is cut at the first bad batch (SEG-3). Segments before the last were complete when it was made (SEG-8).
// stale: the checkpoint is of something else.
func (l *Log) recover(s *segment) (_ indexer, stale bool, _ error) {
	l.mu.Lock()
	cp := l.checkpoint
	interval := l.cfg.IndexInterval
	l.mu.Unlock()
	known := cp.valid && cp.base == s.base && cp.next >= s.base
	if known && cp.pos > s.size {
		l.e.opts.Logger.Error("segment is shorter than what was synced to it; keeping what is left", "file", s.handle.path, "bytes", s.size, "synced", cp.pos)
		known = false
	}
	if known && l.d.clean {
		x, m, any, err := loadIndex(l.e.fs, l.path, s, cp.pos, interval, true)
		if err != nil {
			return indexer{}, false, err
		}
		if s.size > cp.pos {
			if err := l.cutFile(s, cp.pos); err != nil {
				return indexer{}, false, err
			}
		}
		s.size, s.next, s.max, s.any, s.allocated = cp.pos, cp.next, m, any, 0
		return indexer{index: x, base: s.base, max: m, any: any}, false, nil
	}
	l.mu.Lock()
	l.unsaved = true
	l.mu.Unlock()
	from, next := int64(0), s.base
	ix := indexer{index: &index{}, base: s.base}
	if known {
		from, next = cp.pos, cp.next
		ix.from, ix.fromOffset = from, next
		ix.max, ix.any = cp.max, cp.anyMax
	}
	end, next, err := scanFile(l.e.fs, s.handle.path, from, -1, next, func(h record.Header, pos int64, _ []byte) bool {
		ix.add(&h, pos, interval)
		return true
	})
	if err != nil {
		return indexer{}, false, err
	}
	if end < s.size {
		if n := s.size - end; n >= record.HeaderSize {
			l.e.opts.Logger.Info("cut the unfinished end of a segment", "file", s.handle.path, "at", end, "bytes", n)
		}
	}
	if err := l.cutFile(s, end); err != nil {
		return indexer{}, false, err
	}
	s.size, s.next, s.max, s.any = end, next, ix.max, ix.any
	return ix, cp.valid && !known, nil
}

// cutFile makes the file end at size, durably. What a crash left in the page cache becomes durable with it, so the whole log is.
func (l *Log) cutFile(s *segment, size int64) error {
	f, done, err := l.toWrite(s)
	if err != nil {
		return err
	}
	defer done()
	if have, err := f.Size(); err != nil {
		return err
	} else if have != size {
		if err := f.Truncate(size); err != nil {
			return fmt.Errorf("cut %s to %d bytes: %w", s.handle.path, size, err)
		}
	}
	if err := f.Sync(); err != nil {
		s.spoilt = true
		return fmt.Errorf("sync %s: %w", s.handle.path, err)
	}
	return nil
}

// restore puts an entry of the journal back behind what the segments have. after is the log end that the entry continued.
func (l *Log) restore(file *journalFile, seq uint64, en *entry) error {
	if err := l.load(); errors.Is(err, storage.ErrFull) {
		return err // the log would be taken up later without what is in the journal
	} else if err != nil {
		return nil // the log is offline, and said so
	}
	l.mu.Lock()
	end, floor := l.end, l.edges.floor
	l.mu.Unlock()
	if seq < floor {
		return nil // all of it was in segments, which were cut since
	}
	b := en.data
	for h, batch := range b.All() {
		if h.NextOffset() > end {
			break
		}
		b = b[len(batch):]
	}
	if len(b) == 0 {
		return nil
	}
	if en.after > end && en.after <= l.edges.start { // what is missing in between was trimmed
		l.mu.Lock()
		l.rollLocked(en.after)
		l.start, l.durable, l.end, l.committedEnd = en.after, en.after, en.after, en.after
		end = en.after
		l.mu.Unlock()
	}
	if en.after > end {
		l.e.opts.Logger.Error("the journal goes on behind the end of the segments: records in between are lost", "log", l.id.String(), "segments_end", end, "journal_goes_on_at", en.after)
		return nil
	}
	first, next, err := l.checkAppend(b)
	if err != nil {
		return damagedAt(file.path, 0, "entry of %s: %v", l.id, err)
	}
	fresh, err := l.lockWithRoom(first, next, len(b))
	if err != nil {
		return err
	}
	l.takeLocked(b, next, fresh)
	l.committed = l.appended
	l.committedEnd = l.end
	l.durable = l.end
	l.start = max(l.start, min(l.edges.start, l.end))
	l.d.journal.pin(l, file)
	l.mu.Unlock()
	return nil
}

// skipLocked goes on at the log start, which is above everything that is left: that was trimmed.
func (l *Log) skipLocked() {
	l.rollLocked(l.edges.start)
	l.start, l.durable, l.end, l.committedEnd = l.edges.start, l.edges.start, l.edges.start, l.edges.start
}

// settle is called when the journal was replayed.
func (l *Log) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) > 0 && l.edges.start > l.end {
		l.skipLocked()
	}
}

// segmentFor is the index of the segment that holds or would hold off: the last with base <= off.
func segmentFor(segs []*segment, off kafka.Offset) int {
	return sort.Search(len(segs), func(i int) bool { return segs[i].base > off }) - 1
}
