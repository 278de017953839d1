package sim

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// disk is the storage engine of a node, and what outlives its processes. An append is readable at once and durable when the next sync that began after
// it has ended; one sync covers all logs. A crash loses what is not durable, but perhaps for whole batches at its beginning; a cut of the tail that no
// sync has followed may be undone by it (STO-3, STO-4).
type disk struct {
	n       *node
	logs    []*diskLog // in the order in which they were made
	syncing bool
	wanted  bool
	slow    time.Duration // a sync takes up to so much longer
}

var _ storage.Engine = (*disk)(nil)

// diskLog is one log.
type diskLog struct {
	d       *disk
	id      storage.ID
	cfg     storage.Config
	batches []stored
	start   kafka.Offset
	end     kafka.Offset
	durable kafka.Offset
	deleted kafka.Offset // the log start that was told, which a crash must not undo
	cuts    int          // how often the tail was cut
	undone  []stored     // durable batches that the last cut took and a crash may bring back
	blobs   map[string][]byte
	amnesia bool // a mutant: who reads sees no producers
	removed bool
	waiting []durableWait
}

type durableWait struct {
	upto kafka.Offset
	fn   func()
}

type stored struct {
	h   record.Header
	raw []byte
}

func (d *disk) find(id storage.ID) *diskLog {
	for _, l := range d.logs {
		if l.id == id {
			return l
		}
	}
	return nil
}

func (d *disk) Open(id storage.ID, cfg storage.Config) (storage.Log, error) {
	l := d.find(id)
	if l == nil {
		l = &diskLog{d: d, id: id, blobs: map[string][]byte{}}
		d.logs = append(d.logs, l)
	}
	l.cfg = cfg
	return l, nil
}

func (d *disk) Remove(id storage.ID) error {
	d.logs = slices.DeleteFunc(d.logs, func(l *diskLog) bool {
		if l.id == id {
			l.removed = true
		}
		return l.id == id
	})
	return nil
}

func (d *disk) List() (ids []storage.ID, err error) {
	for _, l := range d.logs {
		ids = append(ids, l.id)
	}
	return ids, nil
}

func (d *disk) Dirs() []storage.DirInfo { return []storage.DirInfo{{Path: "disk"}} }
func (d *disk) Close() error            { return nil }

// wantSync has a sync happen, after the one under way.
func (d *disk) wantSync() {
	if d.syncing {
		d.wanted = true
		return
	}
	d.syncing = true
	type mark struct {
		l    *diskLog
		upto kafka.Offset
		cuts int
	}
	var marks []mark
	for _, l := range d.logs {
		if l.durable < l.end || l.undone != nil {
			marks = append(marks, mark{l, l.end, l.cuts})
		}
	}
	took := d.n.w.between(300*time.Microsecond, 3*time.Millisecond)
	if d.slow > 0 {
		took += d.n.w.between(0, d.slow)
	}
	d.n.after(took, func() {
		d.syncing = false
		for _, m := range marks {
			if m.cuts == m.l.cuts && !m.l.removed {
				m.l.undone = nil
				m.l.settle(m.upto)
			}
		}
		if d.wanted {
			d.wanted = false
			d.wantSync()
		}
	})
}

// crash is what a crash does to the disk; losing says that the machine lost its power, not only the process its life.
func (d *disk) crash(losing bool) {
	d.syncing, d.wanted = false, false
	for _, l := range d.logs {
		l.cfg, l.waiting, l.amnesia = storage.Config{}, nil, false
		if d.n.w.mutant == "a deletion is not durable" && len(l.batches) > 0 {
			l.start = min(l.start, l.batches[0].h.BaseOffset)
		}
		if !losing {
			l.durable, l.undone = l.end, nil
			continue
		}
		upto := l.durable
		for _, b := range l.batches {
			if b.h.NextOffset() > upto && d.n.w.dice.IntN(2) == 0 {
				break
			}
			upto = max(upto, b.h.NextOffset())
		}
		if l.undone != nil && d.n.w.dice.IntN(2) == 0 {
			at := l.undone[0].h.BaseOffset
			l.batches = slices.DeleteFunc(l.batches, func(b stored) bool { return b.h.BaseOffset >= at })
			l.batches = append(l.batches, l.undone...)
			upto = l.batches[len(l.batches)-1].h.NextOffset()
		}
		l.undone = nil
		l.batches = slices.DeleteFunc(l.batches, func(b stored) bool { return b.h.NextOffset() > upto })
		upto = max(upto, l.start)
		l.durable, l.end = upto, upto
		l.cuts++
	}
}

// settle makes a log durable up to an offset.
func (l *diskLog) settle(upto kafka.Offset) {
	upto = min(upto, l.end)
	if upto <= l.durable {
		return
	}
	l.durable = upto
	if l.cfg.OnDurable != nil {
		l.cfg.OnDurable(upto)
	}
	waiting := l.waiting
	l.waiting = nil
	for _, x := range waiting {
		if x.upto <= l.durable {
			x.fn()
		} else {
			l.waiting = append(l.waiting, x)
		}
	}
}

// whenDurable calls fn when everything below an offset is durable.
func (l *diskLog) whenDurable(upto kafka.Offset, fn func()) {
	if upto <= l.durable {
		fn()
		return
	}
	l.waiting = append(l.waiting, durableWait{upto, fn})
	l.d.wantSync()
}

func (l *diskLog) Append(b record.Batches) (storage.Span, error) {
	if l.removed {
		return storage.Span{}, storage.ErrClosed
	}
	span := storage.Span{First: kafka.NoOffset, Bytes: len(b)}
	for h, raw := range b.All() {
		if span.First == kafka.NoOffset {
			span.First = h.BaseOffset
		}
		if h.BaseOffset < l.end {
			l.d.n.w.fail("%s: %s is appended to at offset %d, it ends at %d", l.d.n, l.id, h.BaseOffset, l.end)
		}
		s := stored{h, slices.Clone(raw)}
		l.batches = append(l.batches, s)
		l.end = h.NextOffset()
		l.d.n.w.truth.appended(l, &s)
	}
	span.Next = l.end
	l.d.wantSync()
	return span, nil
}

func (l *diskLog) Sync(_ context.Context, upto kafka.Offset) error {
	if upto > l.durable {
		l.settle(upto)
	}
	return nil
}

// at is the index of the batch that contains or follows an offset.
func (l *diskLog) at(from kafka.Offset) int {
	i, _ := slices.BinarySearchFunc(l.batches, from, func(b stored, from kafka.Offset) int {
		if b.h.NextOffset() <= from {
			return -1
		}
		return 1
	})
	return i
}

func (l *diskLog) Read(from kafka.Offset, lim storage.ReadLimit) (storage.Extent, error) {
	if from < l.start || from > l.end {
		return nil, kafka.OffsetOutOfRange
	}
	var out []byte
	for _, b := range l.batches[l.at(from):] {
		if lim.Below >= 0 && b.h.BaseOffset >= lim.Below || len(out) > 0 && len(out)+len(b.raw) > lim.MaxBytes {
			break
		}
		at := len(out)
		out = append(out, b.raw...)
		if l.amnesia {
			for i := 43; i < 51; i++ {
				out[at+i] = 0xff // producer id -1
			}
		}
	}
	if out == nil {
		return nil, nil
	}
	return &extent{bytes.NewReader(out), out}, nil
}

func (l *diskLog) Bounds() storage.Bounds {
	return storage.Bounds{Start: l.start, End: l.end, Durable: max(l.durable, l.start)}
}

func (l *diskLog) TruncateTo(end kafka.Offset) error {
	if end >= l.end {
		return nil
	}
	i := len(l.batches)
	for i > 0 && l.batches[i-1].h.NextOffset() > end {
		i--
	}
	gone := slices.Clone(l.batches[i:])
	gone = slices.DeleteFunc(gone, func(b stored) bool { return b.h.NextOffset() > l.durable })
	if len(gone) > 0 && (l.undone == nil || gone[0].h.BaseOffset < l.undone[0].h.BaseOffset) {
		l.undone = append(gone, l.undone...)
		if at := gone[len(gone)-1].h.NextOffset(); len(l.undone) > len(gone) && l.undone[len(gone)].h.BaseOffset != at {
			l.undone = gone
		}
	}
	l.batches = slices.Delete(l.batches, i, len(l.batches))
	l.end = l.start
	if i > 0 {
		l.end = l.batches[i-1].h.NextOffset()
	}
	l.durable = min(l.durable, l.end)
	l.cuts++
	l.d.wantSync()
	return nil
}

// TrimTo drops what lies below a start, which may lie within a batch, as the engines do with segments of one batch each: the start is durable at once, and
// so is what was below it.
func (l *diskLog) TrimTo(start kafka.Offset) error {
	if start > l.end {
		return kafka.Errorf(kafka.OffsetOutOfRange, "cannot trim %s to %d: it ends at %d", l.id, start, l.end)
	}
	if start <= l.start {
		return nil
	}
	l.settle(start)
	l.start = start
	l.batches, l.undone = l.above(l.batches), l.above(l.undone)
	l.d.n.w.truth.trimmed(l)
	return nil
}

// above is what of a log lies above its start; nil: nothing.
func (l *diskLog) above(list []stored) []stored {
	i := slices.IndexFunc(list, func(b stored) bool { return b.h.NextOffset() > l.start })
	if i < 0 {
		return nil
	}
	return slices.Clone(list[i:])
}

func (l *diskLog) OffsetForTime(ts kafka.Timestamp) (storage.OffsetTime, error) {
	for _, b := range l.batches {
		if b.h.NextOffset() > l.start && b.h.MaxTimestamp >= ts {
			return storage.OffsetTime{Offset: b.h.BaseOffset, Timestamp: b.h.MaxTimestamp}, nil
		}
	}
	return storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}, nil
}

func (l *diskLog) MaxTimestamp() (storage.OffsetTime, error) {
	most := kafka.NoTimestamp
	for _, b := range l.batches {
		most = max(most, b.h.MaxTimestamp)
	}
	return l.OffsetForTime(most)
}

func (l *diskLog) Sidecar() storage.Sidecar   { return sidecar{l} }
func (l *diskLog) Configure(c storage.Config) { l.cfg = c }
func (l *diskLog) Size() (n int64) {
	for _, b := range l.batches {
		n += int64(len(b.raw))
	}
	return n
}
func (l *diskLog) Close() error { return nil }

type extent struct {
	io.WriterTo
	b []byte
}

func (x *extent) Len() int                       { return len(x.b) }
func (x *extent) Bytes() (record.Batches, error) { return x.b, nil }
func (x *extent) Release()                       {}

// sidecar is durable at once.
type sidecar struct{ l *diskLog }

func (s sidecar) Get(name string) ([]byte, error) {
	if b, ok := s.l.blobs[name]; ok && !s.l.amnesia {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (s sidecar) Put(name string, b []byte) error {
	s.l.blobs[name] = slices.Clone(b)
	return nil
}

func (s sidecar) Delete(name string) error {
	delete(s.l.blobs, name)
	return nil
}

func (s sidecar) List() (names []string, err error) {
	for n := range s.l.blobs {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}
