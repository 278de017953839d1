package seglog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

// piece is a part of a block that is to be written.
type piece struct {
	b        *block
	from, to int // in b.buf
}

// plan is what one flush writes, taken under Log.mu and carried out without it.
type plan struct {
	segs     []segmentPlan
	appended int64
	end      kafka.Offset
	records  int64
	cuts     int
	bytes    int64
	sync     bool
	pinned   *journalFile
	at       int64 // pinnedAt
}

type segmentPlan struct {
	s      *segment
	pieces []piece
	size   int64
	sealed bool
}

// work is a flush worker's goroutine: it writes the segments of the logs it is given.
func (d *dir) worker() {
	for l := range d.work {
		_ = l.flush() // a failure has taken the log offline, or waits for room on the disk
		l.mu.Lock()
		l.flushing = false
		l.direct = false
		again := l.appended > l.committed && !l.queued && l.failed == nil && !l.removed
		if again && d.isFull() {
			again = false // the janitor tries again when there is room
		}
		l.queued = l.queued || again
		l.mu.Unlock()
		if again {
			d.commit.enqueue(l)
		}
	}
}

// flushSoon has a worker write l's tail, unless one is at it already. It never blocks: when the workers' queue is full, who needs the
// flush asks again.
func (d *dir) flushSoon(l *Log) {
	l.mu.Lock()
	if l.flushing || l.failed != nil || l.removed || l.closed {
		l.mu.Unlock()
		return
	}
	l.flushing = true
	l.mu.Unlock()
	select {
	case d.work <- l:
	default:
		l.mu.Lock()
		l.flushing = false
		l.mu.Unlock()
	}
}

// flush writes everything that is not in segments yet; it is committed then, and durable.
func (l *Log) flush() error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	return l.flushHeld()
}

// flushHeld is flush for who holds flushMu.
func (l *Log) flushHeld() error {
	p, ok := l.plan()
	if !ok {
		return nil
	}
	err := l.carryOut(&p)
	lost := err != nil && (!errors.Is(err, vfs.ErrNoSpace) || l.lostBy(&p))
	l.mu.Lock()
	if err == nil && l.partly {
		l.partly = false
		l.settlePartlyLocked() // before what comes behind it: blocks are evicted in this order
	}
	for _, sp := range p.segs {
		for _, pc := range sp.pieces {
			if err == nil {
				pc.b.flushed = pc.to
				l.e.hot.add(l, pc.b)
			}
		}
	}
	if err != nil {
		l.unpinLocked(p.pinned, p.at)
		l.partly = true
		l.mu.Unlock()
		l.releasePieces(&p)
		if lost {
			l.fail(err)
			return err
		}
		l.d.noSpace(err)
		return fmt.Errorf("flush %s: %w", l.id, asFull(err))
	}
	l.flushed = max(l.flushed, p.appended)
	if l.pinned == p.pinned {
		p.pinned = nil // bytes that came meanwhile keep the same journal file
	}
	l.committed, l.committedEnd = max(l.committed, p.appended), max(l.committedEnd, p.end)
	if p.sync {
		l.records -= p.records
		l.loose = 0
		l.syncNow, l.unsynced = false, false
		last := p.segs[len(p.segs)-1]
		l.checkpoint.base, l.checkpoint.pos, l.checkpoint.next = last.s.base, last.size, p.end
		l.markLocked()
	} else {
		l.loose += p.bytes
		l.unsynced = true
		l.noteLooseLocked()
	}
	l.mu.Unlock()
	l.releasePieces(&p)
	l.e.pool.poke()
	l.d.journal.unpin(l, p.pinned)
	l.setDurable(p.end, p.cuts)
	return nil
}

// lostBy reports whether a flush that failed for want of space may have taken away what nobody has in memory any more: what a sync fails to write
// may be gone from the page cache, and of a Cached log earlier flushes were not synced. What the flush itself wrote is in the tail, and is written
// again.
func (l *Log) lostBy(p *plan) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loose > 0 && slices.ContainsFunc(p.segs, func(sp segmentPlan) bool { return sp.s.spoilt })
}

// settlePartlyLocked notes what is in segments that were completed by a flush which failed after that.
func (l *Log) settlePartlyLocked() {
	for _, b := range l.tail {
		if b.seg.complete && b.flushed < b.n {
			b.flushed = b.n
			l.e.hot.add(l, b)
		}
	}
}

// unpinLocked puts back a pin whose flush came to nothing: it is older than one made since.
func (l *Log) unpinLocked(pinned *journalFile, at int64) {
	if pinned == nil {
		return
	}
	if l.pinned != nil && l.pinned != pinned {
		l.d.journal.unpin(l, l.pinned)
	}
	l.pinned, l.pinnedAt = pinned, at
}

func (l *Log) releasePieces(p *plan) {
	for _, sp := range p.segs {
		for _, pc := range sp.pieces {
			pc.b.release()
		}
	}
}

// looseMost is how much a Cached log may have in its segment that was never synced: what recovery has to read again.
const looseMost = 16 << 20

// plan notes what is to be written now.
func (l *Log) plan() (plan, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil || l.removed || len(l.segments) == 0 {
		return plan{}, false
	}
	p := plan{appended: l.appended, end: l.end, records: l.records, cuts: l.cuts, sync: l.wantsSyncLocked(), pinned: l.pinned, at: l.pinnedAt}
	t := 0
	for _, s := range l.segments {
		if s.complete {
			continue
		}
		sp := segmentPlan{s: s, size: s.size, sealed: s.sealed}
		for ; t < len(l.tail); t++ {
			b := l.tail[t]
			if b.seg.base > s.base {
				break
			}
			if b.seg == s && b.flushed < b.n {
				b.acquire()
				sp.pieces = append(sp.pieces, piece{b, b.flushed, b.n})
				p.bytes += int64(b.n - b.flushed)
			}
		}
		if len(sp.pieces) > 0 || s.sealed || len(p.segs) > 0 || l.syncNow && s.exists || l.partly {
			p.segs = append(p.segs, sp)
		}
	}
	if len(p.segs) == 0 {
		return plan{}, false
	}
	p.sync = p.sync || l.loose+p.bytes >= looseMost
	l.pinned = nil
	return p, true
}

// carryOut writes, completes and syncs the plan's segments in order (SEG-8).
func (l *Log) carryOut(p *plan) error {
	if err := l.makeDir(); err != nil {
		return err
	}
	for i := range p.segs {
		if err := l.writeSegment(&p.segs[i], p.sync); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) writeSegment(sp *segmentPlan, sync bool) error {
	s := sp.s
	if err := l.makeFile(s); err != nil {
		return fmt.Errorf("make %s: %w", s.handle.path, err)
	}
	f, done, err := l.toWrite(s)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.handle.path, err)
	}
	defer done()
	if err := l.allocate(f, sp); err != nil {
		return err
	}
	for _, pc := range sp.pieces {
		if err := l.writePiece(f, pc); err != nil {
			return fmt.Errorf("write %s: %w", s.handle.path, err)
		}
	}
	if sp.sealed {
		if err := f.Truncate(sp.size); err != nil {
			return fmt.Errorf("cut %s to %d bytes: %w", s.handle.path, sp.size, err)
		}
		l.mu.Lock()
		x, m, any := s.index, s.max, s.any
		l.mu.Unlock()
		if x != nil {
			if err := writeIndex(l.e.fs, l.path, s.base, "", x, m, any); err != nil {
				return fmt.Errorf("write the index of %s: %w", s.handle.path, err)
			}
		}
	}
	if sync || sp.sealed {
		if err := f.Sync(); err != nil {
			s.spoilt = true
			return fmt.Errorf("sync %s: %w", s.handle.path, err)
		}
	}
	if sp.sealed {
		l.mu.Lock()
		s.complete = true
		l.mu.Unlock()
	}
	return nil
}

// toWrite is the file of a segment, to be written until done is called. Where a sync of the open one has failed it is another one, for no later sync
// of that is to be believed (VFS-3). flushMu is held.
func (l *Log) toWrite(s *segment) (f vfs.File, done func(), err error) {
	if s.spoilt && l.e.files.drop(&s.handle) {
		s.spoilt = false
	}
	if s.spoilt { // somebody is reading it
		f, err = l.e.fs.Open(s.handle.path, l.e.files.flag)
		return f, func() { _ = f.Close() }, err
	}
	f, err = l.e.files.acquire(&s.handle, false)
	return f, func() { l.e.files.release(&s.handle) }, err
}

// Space for a segment is allocated ahead once it is written in large pieces, so that an fsync has less metadata to write: as much as the
// segment has, within these bounds. What is left over goes when the segment is sealed or closed.
const (
	allocateFrom  = 256 << 10
	allocateLeast = 1 << 20
	allocateMost  = 64 << 20
)

func (l *Log) allocate(f vfs.File, sp *segmentPlan) error {
	s := sp.s
	n := int64(0)
	for _, pc := range sp.pieces {
		n += int64(pc.to - pc.from)
	}
	l.mu.Lock()
	whole := int64(0)
	if l.cfg.Preallocate {
		whole = alignUp(l.cfg.SegmentBytes)
	}
	l.mu.Unlock()
	if sp.sealed || alignUp(sp.size) <= s.allocated || n < allocateFrom && whole == 0 {
		return nil
	}
	from := max(s.allocated, alignDown(sp.size-n))
	upto := max(alignUp(sp.size), from+min(max(sp.size, allocateLeast), allocateMost), whole)
	if err := f.Allocate(from, upto-from); err != nil {
		if errors.Is(err, vfs.ErrNoSpace) {
			return nil // the write itself will tell, if there is no room for it either
		}
		return fmt.Errorf("allocate %s: %w", s.handle.path, err)
	}
	s.allocated = upto
	return nil
}

var scratch = sync.Pool{New: func() any { b := vfs.Aligned(vfs.BlockSize); return &b }}

// writePiece writes a piece. Past the page cache only whole file blocks can be written: the first may need what the file already has of
// it, the last is filled up with zeros, which the next flush overwrites. Bytes behind the piece belong to appends that run meanwhile, so
// the last block is copied.
func (l *Log) writePiece(f vfs.File, pc piece) error {
	b := pc.b
	if l.e.opts.Buffered {
		_, err := f.WriteAt(b.buf[pc.from:pc.to], b.pos+int64(pc.from))
		return err
	}
	i := pc.from &^ (vfs.BlockSize - 1)
	if i < b.lo {
		head := scratch.Get().(*[]byte)
		defer scratch.Put(head)
		clear(*head)
		if n, err := f.ReadAt(*head, b.pos+int64(i)); n < b.lo-i {
			return fmt.Errorf("read back %d bytes at %d, got %d: %w", b.lo-i, b.pos+int64(i), n, err)
		}
		n := copy((*head)[b.lo-i:], b.buf[b.lo:pc.to])
		clear((*head)[b.lo-i+n:])
		if _, err := f.WriteAt(*head, b.pos+int64(i)); err != nil {
			return err
		}
		i += vfs.BlockSize
	}
	whole := pc.to &^ (vfs.BlockSize - 1)
	if whole > i {
		if _, err := f.WriteAt(b.buf[i:whole], b.pos+int64(i)); err != nil {
			return err
		}
		i = whole
	}
	if pc.to > i {
		last := scratch.Get().(*[]byte)
		defer scratch.Put(last)
		n := copy(*last, b.buf[i:pc.to])
		clear((*last)[n:])
		if _, err := f.WriteAt(*last, b.pos+int64(i)); err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes the partition's directory and the file that names its topic id, durably, the first time something is written.
func (l *Log) makeDir() error {
	if l.side.made.Load() {
		return nil
	}
	l.side.making.Lock()
	defer l.side.making.Unlock()
	if l.side.made.Load() {
		return nil
	}
	if err := l.e.fs.MkdirAll(l.path); err != nil {
		return err
	}
	if err := writeTopicID(l.e.fs, l.path, l.id.TopicID); err != nil {
		return err
	}
	if err := l.e.fs.SyncDir(filepath.Dir(l.path)); err != nil {
		return err
	}
	l.side.made.Store(true)
	return nil
}
