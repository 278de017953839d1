package seglog

import (
	"errors"
	"io/fs"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

var _ storage.Inspected = (*Log)(nil)

// inspected is where the last inspection ended, so that one that goes on from there needs no index. Guarded by Log.mu.
type inspected struct {
	cursor
	known bool
}

// stretch is what one look of an inspection goes over: a segment from a place on.
type stretch struct {
	s        *segment
	base     kafka.Offset
	next     kafka.Offset // after the segment
	size     int64
	pos      int64
	expect   kafka.Offset // no batch from pos on begins below
	exact    bool         // a batch begins at pos, as far as is known without an index
	gen      uint64
	complete bool
}

// Inspect implements storage.Inspected.
func (l *Log) Inspect(from kafka.Offset, most int, each func(h *record.Header, batch []byte) error) (storage.Inspection, error) {
	if err := l.load(); err != nil {
		return storage.Inspection{}, err
	}
	for fromStart := false; ; {
		t, err := l.stretchFrom(from, fromStart)
		if err != nil || t == nil {
			return storage.Inspection{Next: max(from, l.Bounds().End)}, err
		}
		in, err := l.inspect(t, from, most, each)
		var stopped stop
		switch {
		case errors.As(err, &stopped):
			return in, stopped.error
		case err == nil && len(in.Rot) == 0:
			return in, nil
		case l.genOf() != t.gen: // cut, trimmed or mended under our hands
			from = max(from, in.Next)
			continue
		case err != nil:
			return in, err
		case !t.exact && in.Rot[0].Position == t.pos: // it may be the index that lies
			fromStart = true
			continue
		}
		l.rotten(in.Rot[0].From, in.Rot[0].Err)
		return in, nil
	}
}

// stop is an error of who is given the batches.
type stop struct{ error }

func (l *Log) genOf() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gen
}

// stretchFrom finds the segment that holds from, or the next one with batches, and where in it to begin. nil: there is nothing behind from.
func (l *Log) stretchFrom(from kafka.Offset, fromStart bool) (*stretch, error) {
	for flushed := false; ; flushed = true {
		t, err := l.stretchNow(from, fromStart)
		if t == nil || err != nil || t.complete || flushed {
			return t, err
		}
		if err := l.flush(); err != nil {
			return nil, err
		}
	}
}

func (l *Log) stretchNow(from kafka.Offset, fromStart bool) (*stretch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return nil, err
	}
	if from < l.start {
		from = l.start
	}
	i := max(segmentFor(l.segments, from), 0)
	for i < len(l.segments) && (l.segments[i].next <= from || l.segments[i].size == 0) {
		i++
	}
	if i >= len(l.segments) {
		return nil, nil
	}
	s := l.segments[i]
	t := &stretch{s: s, base: s.base, next: s.next, size: s.size, expect: s.base, exact: true, gen: l.gen, complete: s.complete}
	if from <= s.base || fromStart {
		return t, nil
	}
	if c := l.inspected; c.known && c.s == s && c.next == from && c.gen == l.gen {
		t.pos, t.expect = c.pos, from
		return t, nil
	}
	if x := l.indexOfLocked(s); x != nil && x.from == 0 {
		if t.pos = x.floor(int64(from - s.base)); t.pos > 0 {
			t.exact = false
		}
	}
	return t, nil
}

// inspect looks at what there is from t.pos on. The batches below from are walked over. A batch is given when the one behind it has been seen: where a batch
// lies is not in its checksum, and one whose offset was damaged upwards reaches into the next.
func (l *Log) inspect(t *stretch, from kafka.Offset, most int, each func(h *record.Header, batch []byte) error) (storage.Inspection, error) {
	in := storage.Inspection{Next: from, Base: t.base}
	var held struct {
		h     record.Header
		pos   int64
		after kafka.Offset // where the batch before ended
		batch []byte
		some  bool
	}
	given, full := 0, false
	var failed error
	give := func() bool {
		if held.some && held.h.NextOffset() > from {
			in.Next = held.h.NextOffset()
			failed = each(&held.h, held.batch)
		}
		held.some = false
		return failed == nil
	}
	before := t.expect
	pos, next, err := scanFile(l.e.fs, t.s.handle.path, t.pos, t.size, t.expect, func(h record.Header, pos int64, batch []byte) bool {
		if h.NextOffset() > t.next {
			return false
		}
		if full = given > 0 && given+len(batch) > most; full || !give() {
			return false
		}
		in.Bytes += int64(len(batch))
		if h.NextOffset() > from {
			given += len(batch)
		}
		held.h, held.pos, held.after, held.some = h, pos, before, true
		held.batch = append(held.batch[:0], batch...)
		before = h.NextOffset()
		return true
	})
	ends := full || err == nil && pos >= t.size
	if failed == nil && !ends && held.some && err == nil && held.h.BaseOffset != held.after {
		if r, overlap := l.overlap(t, held.after, held.h, held.pos, pos); overlap {
			l.found(t, &in, r)
			return in, nil
		}
	}
	if failed == nil {
		give()
	}
	switch {
	case failed != nil:
		return in, stop{failed}
	case errors.Is(err, fs.ErrNotExist) && l.genOf() != t.gen:
		return in, err
	case full:
		l.leaveOff(t, in.Next, pos)
		return in, nil
	case ends:
		in.Next, in.Over = t.next, true
		return in, nil
	}
	l.found(t, &in, l.measure(t, pos, next, err))
	return in, nil
}

// found ends an inspection behind damage.
func (l *Log) found(t *stretch, in *storage.Inspection, r storage.Rot) {
	in.Rot = []storage.Rot{r}
	in.Next = max(r.To, in.Next)
	if in.Over = r.Position+r.Bytes >= t.size; in.Over {
		in.Next = t.next
	} else {
		l.leaveOff(t, in.Next, r.Position+r.Bytes)
	}
}

// leaveOff remembers where the inspection that goes on from next begins.
func (l *Log) leaveOff(t *stretch, next kafka.Offset, pos int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inspected = inspected{cursor{next, t.s, pos, t.gen}, true}
}
