package seglog

import (
	"errors"
	"fmt"
	"io"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Bounds of one read, whatever the caller asks for.
const (
	readMost  = 4 << 20  // of bytes in one extent, unless a single batch is larger
	readLeast = 64 << 10 // of a read from disk, so that the batch looked for is most likely in it
)

// Read implements storage.Log.
func (l *Log) Read(from kafka.Offset, lim storage.ReadLimit) (storage.Extent, error) {
	if err := l.load(); err != nil {
		return nil, err
	}
	lim.MaxBytes = min(max(lim.MaxBytes, 1), readMost)
	x, err := l.readSegment(from, lim)
	if err != nil || x == nil {
		return nil, err
	}
	for x.ends && x.n < lim.MaxBytes { // the segment is over, but there is room
		lim.MaxBytes -= x.n
		more, err := l.readSegment(x.next, lim)
		if err != nil || more == nil {
			break // what was found is an answer; whoever goes on from its end gets the error
		}
		if more.n > lim.MaxBytes || more.gen != x.gen {
			more.Release()
			break
		}
		x.add(more)
	}
	return x, nil
}

// readSegment reads from the one segment that holds from, or the next that has something.
func (l *Log) readSegment(from kafka.Offset, lim storage.ReadLimit) (*extent, error) {
	span := int64(lim.MaxBytes) // how far from the place to search from the batches may reach
	for distrust := false; ; {
		v, err := l.view(from, &lim, span)
		if v == nil || err != nil {
			return nil, err
		}
		if v.index == nil {
			if err := l.completeIndex(v.s, !distrust); err != nil && !l.changedSince(v) { // else cut or trimmed since we looked
				return nil, l.rotten(from, err)
			}
			continue
		}
		x, again, err := v.read(from, lim)
		v.release()
		if v.bad != nil && err == nil && !l.changedSince(v) {
			_ = l.rotten(v.badAt, v.bad) // what comes before it is an answer
		}
		switch {
		case err == nil && x == nil && again && v.cut && v.need > span:
			span = v.need
			continue
		case err == nil && x == nil && again:
			if !l.changedSince(v) {
				if distrust {
					return nil, l.rotten(from, damagedAt(v.s.handle.path, v.pos, "no batch that holds offset %d", from))
				}
				distrust = true
				l.dropIndex(v.s)
			}
			continue
		case err != nil && l.changedSince(v):
			continue // truncated under our hands
		case err != nil:
			return nil, fmt.Errorf("read %s at %d: %w", l.id, from, l.rotten(from, err))
		case x == nil: // nothing there in this segment, after compaction
			if v.next <= from {
				return nil, nil
			}
			from = v.next
			continue
		}
		x.ends, x.next, x.gen = !v.cut && x.end == v.size, v.next, v.gen
		l.mu.Lock()
		l.cursors.put(cursor{x.after, v.s, x.end, v.gen})
		l.mu.Unlock()
		return x, nil
	}
}

// held is a block with a reference, as far as it was filled when the reference was taken: appends go on behind n.
type held struct {
	*block
	n int
}

func (b held) end() int64 { return b.pos + int64(b.n) }

// view is what a read needs of the log, taken under its lock: the place in a segment to search from, and the blocks that are in memory.
type view struct {
	l        *Log
	s        *segment
	gen      uint64
	index    *index
	pos      int64        // search from here
	size     int64        // of the segment's batches
	next     kafka.Offset // after the segment
	cut      bool         // the segment goes on behind size
	segment  int64        // bytes of the whole segment
	floor    kafka.Offset // no batch from pos on begins below
	last     kafka.Offset // of the batch at pos, if it is indexed
	indexed  bool
	boundary int64 // the last position, as far as asked for, at which a batch is known to begin; 0: none is
	need     int64 // set by read: how far from pos the batches reach, if that is more than it could see
	below    kafka.Offset
	blocks   []held // contiguous up to size, from memory on
	memory   int64  // positions from here on are in blocks

	// Set by read if a batch that it read from the file, behind others, is damaged.
	bad   error
	badAt kafka.Offset
}

// view finds the segment that holds from, or the next one. nil: there is nothing to read.
func (l *Log) view(from kafka.Offset, lim *storage.ReadLimit, span int64) (*view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, l.failed
	}
	if l.removed || l.closed {
		return nil, fmt.Errorf("%s: %w", l.id, storage.ErrClosed)
	}
	if from < l.start || from > l.end {
		return nil, kafka.Errorf(kafka.OffsetOutOfRange, "offset %d of %s is outside [%d, %d]", from, l.id, l.start, l.end)
	}
	below := l.end
	if lim.Below >= 0 {
		below = min(below, lim.Below)
	}
	if from >= below {
		return nil, nil
	}
	i := segmentFor(l.segments, from)
	for i < len(l.segments) && (l.segments[i].size == 0 || l.segments[i].next <= from) {
		i++
	}
	if i >= len(l.segments) {
		return nil, nil
	}
	s := l.segments[i]
	if s.base >= below {
		return nil, nil
	}
	v := &view{l: l, s: s, gen: l.gen, next: s.next, size: s.size, segment: s.size, floor: s.base, below: below, memory: s.size}
	if v.index = l.indexOfLocked(s); v.index == nil {
		return v, nil
	}
	rel := int64(max(from-s.base, 0))
	v.pos = v.index.floor(rel)
	if _, known := l.cursors.find(from, s, l.gen); !known && v.pos == 0 && v.index.from > 0 { // recovery began behind the start: index the rest now that somebody asks for it
		if rel < int64(v.index.fromOffset-s.base) {
			v.index = nil
			return v, nil
		}
		v.pos = v.index.from
	}
	if pos, ok := l.cursors.find(from, s, l.gen); ok {
		v.pos, v.floor = pos, from
	}
	v.size, v.cut = s.size, false
	for k := len(l.tail) - 1; k >= 0 && l.tail[k].seg.base >= s.base; k-- {
		b := l.tail[k]
		if b.seg != s {
			continue
		}
		v.memory = b.start()
		if b.start() < v.pos+span+readLeast || b.start() <= v.pos {
			b.acquire()
			v.blocks = append(v.blocks, held{b, b.n})
		} else {
			v.size, v.cut = b.start(), true
		}
		if b.start() <= v.pos {
			break
		}
	}
	if rel, ok := v.index.lastAt(v.pos); ok {
		v.last, v.indexed = s.base+kafka.Offset(rel), true
	}
	v.boundary = v.index.boundary(v.pos + int64(lim.MaxBytes))
	for a, z := 0, len(v.blocks)-1; a < z; a, z = a+1, z-1 {
		v.blocks[a], v.blocks[z] = v.blocks[z], v.blocks[a]
	}
	return v, nil
}

func (v *view) release() {
	for _, b := range v.blocks {
		b.release()
	}
	v.blocks = nil
}

// changedSince reports whether the log was truncated or a segment replaced since v was taken.
func (l *Log) changedSince(v *view) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gen != v.gen
}

// read finds the batches. again: the place the index named holds no batch, or a larger read is needed than planned.
func (v *view) read(from kafka.Offset, lim storage.ReadLimit) (x *extent, again bool, err error) {
	if v.pos >= v.memory {
		c := v.chain(v.size, v.cut)
		c.blocks = v.blocks
		first, total, ok := c.walk(v.pos, from, v.below, lim.MaxBytes)
		if !ok {
			v.need = c.need
			return nil, true, nil
		}
		if total == 0 {
			return nil, false, nil
		}
		return c.extent(first, total), false, nil
	}
	want := v.want(int64(lim.MaxBytes))
	for {
		c, err := v.fill(want)
		if err != nil {
			return nil, false, err
		}
		first, total, ok := c.walk(v.pos, from, v.below, lim.MaxBytes)
		switch {
		case !ok && c.need > want && c.end < v.size: // a larger batch than planned for
			want = c.need
			c.release()
			continue
		case !ok:
			v.need = c.need
			c.release()
			return nil, true, nil
		}
		if c.passedSize > 0 && c.passed == v.pos && v.indexed && c.passedLast != v.last {
			c.release()
			return nil, true, nil // the index knows another end of it
		}
		// What is looked for may have been in a batch that says less of itself than it should.
		if _, at, err := c.check(c.passed, c.passedSize); err != nil {
			c.release()
			return nil, false, damagedAt(v.s.handle.path, c.passed, "offset %d: %w", at, err)
		}
		if total == 0 {
			c.release()
			return nil, false, nil
		}
		// What memory has was never on its way to a disk and back; what a file has must be what was written to it.
		good, at, err := total, kafka.NoOffset, error(nil)
		if !v.l.e.opts.TrustDisk {
			good, at, err = c.check(first, total)
		}
		if err != nil {
			v.badAt = at
			if err = damagedAt(v.s.handle.path, first+int64(good), "offset %d: %w", at, err); good == 0 {
				c.release()
				return nil, false, err
			}
			v.bad, c.after = err, c.goodTo
		}
		x := c.extent(first, good)
		c.release()
		return x, false, nil
	}
}

// want is how much to read for most bytes of batches: as far as the index knows a batch to end, so that nothing is read in vain.
func (v *view) want(most int64) int64 {
	if v.size-v.pos <= most {
		return v.size - v.pos
	}
	if pos := v.boundary; pos > v.pos {
		return pos - v.pos
	}
	return max(most, readLeast)
}

func (v *view) chain(end int64, more bool) chain {
	return chain{end: end, more: more, floor: v.floor, ceil: v.next, size: v.segment}
}

// fill reads the segment from v.pos on into blocks: want bytes or up to its end, from the file and from the tail in memory.
func (v *view) fill(want int64) (chain, error) {
	pos := alignDown(v.pos)
	end := min(v.size, v.pos+want)
	f, err := v.l.e.files.acquire(&v.s.handle, false)
	if err != nil {
		return chain{}, err
	}
	defer v.l.e.files.release(&v.s.handle)
	c := v.chain(end, end < v.size || v.cut)
	for pos < end {
		b := v.l.e.readBlock(v.s, pos, int(min(end-pos, chunkBytes)))
		n := int(min(int64(len(b.buf)), end-pos))
		c.blocks = append(c.blocks, held{b, n})
		if pos < v.memory {
			m := int(min(alignUp(min(v.memory, pos+int64(n))-pos), int64(len(b.buf))))
			got, err := f.ReadAt(b.buf[:m], pos)
			if err != nil && !errors.Is(err, io.EOF) {
				c.release()
				return chain{}, damagedAt(v.s.handle.path, pos, "cannot be read: %w", err)
			}
			if need := int(min(int64(n), v.memory-pos)); got < need {
				c.release()
				return chain{}, damagedAt(v.s.handle.path, pos, "%d bytes where %d were written", got, need)
			}
			if behind := int(min(int64(got), v.memory-pos)); behind > n {
				c.beyond = b.buf[n:behind]
			}
		}
		for _, t := range v.blocks { // the part that is in memory
			lo, hi := max(t.start(), pos), min(t.end(), pos+int64(n))
			if lo < hi {
				copy(b.buf[lo-pos:hi-pos], t.buf[lo-t.pos:hi-t.pos])
			}
		}
		pos += int64(n)
	}
	return c, nil
}

// readBlock is memory for bytes read from disk: the pool's while readers hold less than half of it, else the heap's, so that slow readers
// cannot take the tails' memory.
func (e *Engine) readBlock(s *segment, pos int64, n int) *block {
	class := classFor(n)
	size := int64(classes[class])
	e.pool.missed(size)
	if e.reading.Load()+size <= e.pool.budget/2 {
		for {
			if m, ok := e.pool.tryGet(class); ok {
				e.reading.Add(size)
				b := newBlock(e.pool, m, s, pos)
				b.reading = &e.reading
				return b
			}
			if !e.hot.evict() {
				break
			}
		}
	}
	return newBlock(nil, mem{buf: vfs.Aligned(int(alignUp(int64(min(n, 256<<10)))))}, s, pos)
}
