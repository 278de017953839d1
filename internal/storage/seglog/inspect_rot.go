package seglog

import (
	"fmt"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// overlap finds out what is damaged where a valid batch does not go on from the one before (after) and the next, at pos, is valid but for beginning below its
// end: that batch, and the next too unless that goes on to what follows it.
func (l *Log) overlap(t *stretch, after kafka.Offset, h record.Header, at, pos int64) (r storage.Rot, overlap bool) {
	path := t.s.handle.path
	behind, ok := l.batchAt(path, pos, t.size)
	if !ok || behind.BaseOffset >= h.NextOffset() {
		return r, false
	}
	end := pos + int64(behind.Size())
	to := t.next
	if third, ok := l.batchAt(path, end, t.size); ok {
		to = third.BaseOffset
	} else if end < t.size {
		return r, false
	}
	r = storage.Rot{
		File: path, Position: at, Bytes: end - at, From: after, To: to,
		Err: damagedAt(path, at, "a batch says that it is at offset %d, and the next one at %d", h.BaseOffset, behind.BaseOffset),
	}
	if behind.BaseOffset > after && behind.NextOffset() == to {
		r.Bytes, r.To, r.Sum, r.Known = pos-at, behind.BaseOffset, h.CRC, true
	}
	return r, r.To > r.From
}

// measure finds out how far the damage reaches that begins at pos, where a batch at next or later was expected: over the one batch if its header can be
// believed, else up to the next place in the index at which there is a valid batch, or to the end of the segment. why is an error of reading.
func (l *Log) measure(t *stretch, pos int64, next kafka.Offset, why error) storage.Rot {
	path := t.s.handle.path
	r := storage.Rot{File: path, Position: pos, Bytes: t.size - pos, From: next, To: t.next}
	if why != nil {
		r.Err = fmt.Errorf("%s at byte %d cannot be read: %w: %w", path, pos, storage.ErrDamaged, why)
	} else {
		r.Err = damagedAt(path, pos, "no valid batch where offset %d belongs", next)
	}
	if h, ok := l.headerAt(path, pos); ok && h.Magic == 2 && h.Length >= record.HeaderSize-record.LengthOffset && pos+int64(h.Size()) <= t.size {
		end := pos + int64(h.Size())
		behind, ok := l.batchAt(path, end, t.size)
		if end == t.size {
			behind.BaseOffset, ok = t.next, true
		}
		if ok && behind.BaseOffset > next && behind.NextOffset() <= max(t.next, behind.BaseOffset+1) {
			r.Bytes, r.To, r.Sum, r.Known = int64(h.Size()), behind.BaseOffset, h.CRC, true
			return r
		}
	}
	for _, at := range l.placesBehind(t, pos) {
		if h, ok := l.batchAt(path, at, t.size); ok && h.BaseOffset >= next && h.NextOffset() <= t.next {
			r.Bytes, r.To = at-pos, h.BaseOffset
			return r
		}
	}
	return r
}

// placesBehind are positions behind pos at which a batch begins, as far as the index knows: close ones first, then farther apart each time, so that
// a medium that takes long to say that it cannot be read is not asked often.
func (l *Log) placesBehind(t *stretch, pos int64) (places []int64) {
	if err := l.completeIndex(t.s, true); err != nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.indexOfLocked(t.s)
	if x == nil {
		return nil
	}
	step := int64(1)
	for _, e := range x.offsets {
		if int64(e.pos) >= pos+step && int64(e.pos) < t.size {
			places = append(places, int64(e.pos))
			step = 2 * (int64(e.pos) - pos)
		}
	}
	return places
}

// headerAt reads a header; false if there is none to be read.
func (l *Log) headerAt(path string, pos int64) (h record.Header, ok bool) {
	f, err := l.e.fs.Open(path, vfs.Direct)
	if err != nil {
		return h, false
	}
	defer f.Close()
	start := alignDown(pos)
	buf := vfs.Aligned(2 * vfs.BlockSize)
	n, _ := f.ReadAt(buf, start)
	if n <= int(pos-start) {
		return h, false
	}
	return record.ParseHeader(buf[pos-start : n])
}

// batchAt reports whether there is a valid batch at pos.
func (l *Log) batchAt(path string, pos, size int64) (found record.Header, ok bool) {
	_, _, err := scanFile(l.e.fs, path, pos, size, 0, func(h record.Header, _ int64, _ []byte) bool {
		found, ok = h, true
		return false
	})
	return found, ok && err == nil
}
