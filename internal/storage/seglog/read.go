package seglog

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
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
				return nil, err
			}
			continue
		}
		x, again, err := v.read(from, lim)
		v.release()
		switch {
		case err == nil && x == nil && again && v.cut && v.need > span:
			span = v.need
			continue
		case err == nil && x == nil && again:
			if !l.changedSince(v) {
				if distrust {
					err := damagedAt(v.s.handle.path, v.pos, "no batch that holds offset %d", from)
					return nil, err
				}
				distrust = true
				l.dropIndex(v.s)
			}
			continue
		case err != nil && l.changedSince(v):
			continue // truncated under our hands
		case err != nil:
			return nil, fmt.Errorf("read %s at %d: %w", l.id, from, err)
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
	boundary int64        // the last position, as far as asked for, at which a batch is known to begin; 0: none is
	need     int64        // set by read: how far from pos the batches reach, if that is more than it could see
	below    kafka.Offset
	blocks   []held // contiguous up to size, from memory on
	memory   int64  // positions from here on are in blocks
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
	v := &view{l: l, s: s, gen: l.gen, next: s.next, size: s.size, below: below, memory: s.size}
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
		v.pos = pos
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
		c := chain{blocks: v.blocks, end: v.size, more: v.cut}
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
		case total == 0:
			c.release()
			return nil, false, nil
		}
		x := c.extent(first, total)
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

// fill reads the segment from v.pos on into blocks: want bytes or up to its end, from the file and from the tail in memory.
func (v *view) fill(want int64) (chain, error) {
	pos := alignDown(v.pos)
	end := min(v.size, v.pos+want)
	f, err := v.l.e.files.acquire(&v.s.handle, false)
	if err != nil {
		return chain{}, err
	}
	defer v.l.e.files.release(&v.s.handle)
	c := chain{end: end, more: end < v.size || v.cut}
	for pos < end {
		b := v.l.e.readBlock(v.s, pos, int(min(end-pos, chunkBytes)))
		n := int(min(int64(len(b.buf)), end-pos))
		c.blocks = append(c.blocks, held{b, n})
		if pos < v.memory {
			m := int(min(alignUp(min(v.memory, pos+int64(n))-pos), int64(len(b.buf))))
			got, err := f.ReadAt(b.buf[:m], pos)
			if err != nil && !errors.Is(err, io.EOF) {
				c.release()
				return chain{}, err
			}
			if need := int(min(int64(n), v.memory-pos)); got < need {
				c.release()
				return chain{}, damagedAt(v.s.handle.path, pos, "%d bytes where %d were written", got, need)
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

// chain is contiguous bytes of a segment in blocks.
type chain struct {
	blocks []held
	end    int64
	more   bool         // the segment goes on behind end
	need   int64        // set by walk: how many bytes from its start a whole batch would take
	after  kafka.Offset // set by walk: the offset after the last batch it took
}

func (c *chain) release() {
	for _, b := range c.blocks {
		b.release()
	}
}

// header reads the batch header at pos.
func (c *chain) header(pos int64, scratch *[record.HeaderSize]byte, from int) (h record.Header, at int, ok bool) {
	for from < len(c.blocks) && c.blocks[from].end() <= pos {
		from++
	}
	if from == len(c.blocks) || pos < c.blocks[from].start() {
		return h, from, false
	}
	b := c.blocks[from]
	have := b.buf[pos-b.pos : b.n]
	if len(have) >= record.HeaderSize {
		h, ok = record.ParseHeader(have)
		return h, from, ok
	}
	n := copy(scratch[:], have)
	for k := from + 1; n < len(scratch) && k < len(c.blocks); k++ {
		n += copy(scratch[n:], c.blocks[k].buf[c.blocks[k].lo:c.blocks[k].n])
	}
	h, ok = record.ParseHeader(scratch[:n])
	return h, from, ok
}

// walk goes from the batch at pos to the first that holds or follows from, and on as long as whole batches fit into most and begin below
// below. It answers where they begin and how many bytes they are. Not ok: pos is no batch's begin, or the chain ends too early (need).
func (c *chain) walk(pos int64, from, below kafka.Offset, most int) (first int64, total int, ok bool) {
	var scratch [record.HeaderSize]byte
	start, at := pos, 0
	for pos < c.end {
		var h record.Header
		var whole bool
		if h, at, whole = c.header(pos, &scratch, at); !whole {
			if total == 0 {
				c.need = pos - start + readLeast
			}
			return first, total, total > 0
		}
		if h.Magic != 2 || h.Length < record.HeaderSize-record.LengthOffset {
			return first, total, total > 0
		}
		if h.BaseOffset >= below {
			return first, total, true
		}
		size := int64(h.Size())
		if h.LastOffset() < from {
			pos += size
			if pos > c.end {
				c.need = pos - start + readLeast
				return 0, 0, false
			}
			continue
		}
		if total > 0 && total+int(size) > most {
			return first, total, true
		}
		if pos+size > c.end {
			if total == 0 {
				c.need = pos - start + size
			}
			return first, total, total > 0
		}
		if total == 0 {
			first = pos
		}
		total += int(size)
		pos += size
		c.after = h.NextOffset()
	}
	if total == 0 && c.more {
		c.need = pos - start + readLeast
		return 0, 0, false
	}
	return first, total, true
}

// extent is the bytes [first, first+total) of the chain, with references of its own.
func (c *chain) extent(first int64, total int) *extent {
	end := first + int64(total)
	x := &extent{n: total, end: end, after: c.after}
	for _, b := range c.blocks {
		lo, hi := max(b.start(), first), min(b.end(), end)
		if lo < hi {
			b.acquire()
			x.blocks = append(x.blocks, b.block)
			x.parts = append(x.parts, b.buf[lo-b.pos:hi-b.pos])
		}
	}
	return x
}

// extent is whole batches in memory.
type extent struct {
	parts  net.Buffers
	blocks []*block
	n      int

	// For a read that goes on: where it ended in its segment, whether the segment ends there, and the offset after the segment.
	end   int64
	after kafka.Offset
	ends  bool
	next  kafka.Offset
	gen   uint64 // of the log: what two reads found belongs together only if nothing was cut between them
}

// add puts more behind x, which takes over its references.
func (x *extent) add(more *extent) {
	x.parts = append(x.parts, more.parts...)
	x.blocks = append(x.blocks, more.blocks...)
	x.n += more.n
	x.end, x.ends, x.next = more.end, more.ends, more.next
}

// Len implements storage.Extent.
func (x *extent) Len() int { return x.n }

// WriteTo implements io.WriterTo; to a TCP connection it is one writev.
func (x *extent) WriteTo(w io.Writer) (int64, error) {
	parts := append(net.Buffers(nil), x.parts...) // WriteTo consumes what it is given
	return parts.WriteTo(w)
}

// Parts are the bytes in order, for who gathers several extents into one write. Valid until Release.
func (x *extent) Parts() [][]byte { return x.parts }

// Bytes implements storage.Extent.
func (x *extent) Bytes() (record.Batches, error) {
	if len(x.parts) == 1 {
		return record.Batches(x.parts[0]), nil
	}
	b := make([]byte, 0, x.n)
	for _, p := range x.parts {
		b = append(b, p...)
	}
	return b, nil
}

// Release implements storage.Extent.
func (x *extent) Release() {
	for _, b := range x.blocks {
		b.release()
	}
	x.blocks, x.parts = nil, nil
}
