package memlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// recover reads the directory, making it if need be, and leaves the write-ahead log ready to be continued.
func (e *Engine) recover() (err error) {
	fsys, dir := e.opts.FS, e.opts.Dir
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	w := &wal{e: e, marks: map[*Log]mark{}, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	if w.lock, err = fsys.Lock(filepath.Join(dir, ".lock")); err != nil {
		return fmt.Errorf("another process uses it: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.lock.Close())
		}
	}()
	snapshots, wals, _, err := e.files()
	if err != nil {
		return err
	}
	first := uint64(0)
	if n := len(snapshots); n > 0 {
		first = snapshots[n-1]
		if err := e.loadSnapshot(first); err != nil {
			return err
		}
	}
	wals = slices.DeleteFunc(wals, func(n uint64) bool { return n < first })
	for i, n := range wals {
		if n != first+uint64(i) {
			return fmt.Errorf("%s is missing: %w", walName(first+uint64(i)), storage.ErrDamaged)
		}
		if err := e.loadWAL(w, n, i == len(wals)-1); err != nil {
			return err
		}
	}
	if err := e.removeBefore(first); err != nil {
		return err
	}
	if w.file == nil {
		if err := w.create(first); err != nil {
			return err
		}
	}
	for _, l := range e.logs {
		l.durable = l.end
		l.pending = nil
	}
	e.wal = w
	return nil
}

// files lists the numbers of snapshots and write-ahead logs, and the names of unfinished snapshots.
func (e *Engine) files() (snapshots, wals []uint64, unfinished []string, err error) {
	names, err := e.opts.FS.List(e.opts.Dir)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, name := range names { // sorted, so the numbers are too
		if strings.HasPrefix(name, "snapshot-") && strings.HasSuffix(name, ".tmp") {
			unfinished = append(unfinished, name)
		} else if n, ok := strings.CutPrefix(name, "snapshot-"); ok {
			if v, err := strconv.ParseUint(n, 10, 64); err == nil {
				snapshots = append(snapshots, v)
			}
		} else if n, ok := strings.CutPrefix(name, "wal-"); ok {
			if v, err := strconv.ParseUint(n, 10, 64); err == nil {
				wals = append(wals, v)
			}
		}
	}
	return snapshots, wals, unfinished, nil
}

func (e *Engine) loadSnapshot(number uint64) error {
	f, whole, err := e.read(snapshotName(number), 0)
	if err != nil {
		return err
	}
	whole.Close()
	ended := false
	_, err = replay(f, func(f *frame) error {
		if ended = f.kind == kindEndSnapshot; ended {
			return nil
		}
		return e.apply(f)
	})
	if err == nil && !ended {
		err = fmt.Errorf("it ends early: %w", storage.ErrDamaged) // it was renamed only when it was whole
	}
	if err != nil {
		return fmt.Errorf("%s: %w", snapshotName(number), err)
	}
	return nil
}

// loadWAL replays a file. Of the last one a torn end is cut off; it is then open to be continued.
func (e *Engine) loadWAL(w *wal, number uint64, last bool) error {
	b, f, err := e.read(walName(number), vfs.Write)
	if err != nil {
		return err
	}
	n, err := replay(b, e.apply)
	switch {
	case err != nil:
	case !last && n < len(b):
		err = fmt.Errorf("no sound frame at byte %d, though a later file exists: %w", n, storage.ErrDamaged)
	case !last:
		return f.Close()
	case n < len(b):
		if err = f.Truncate(int64(n)); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", walName(number), errors.Join(err, f.Close()))
	}
	w.file, w.number, w.size = f, number, int64(n)
	return nil
}

func (e *Engine) read(name string, flag vfs.Flag) ([]byte, vfs.File, error) {
	f, err := e.opts.FS.Open(filepath.Join(e.opts.Dir, name), flag)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Size()
	b := make([]byte, size)
	if err == nil {
		_, err = f.ReadAt(b, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return b, f, nil
}

// replay applies the frames of b up to the first that is not sound, and returns where that is.
func replay(b []byte, apply func(*frame) error) (n int, err error) {
	rest := b
	for len(rest) > 0 {
		f, next, ok := cutFrame(rest)
		if !ok {
			break
		}
		if err := apply(&f); err != nil {
			return len(b) - len(rest), fmt.Errorf("at byte %d: %w", len(b)-len(rest), err)
		}
		rest = next
	}
	return len(b) - len(rest), nil
}

// apply does what a frame says.
func (e *Engine) apply(f *frame) error {
	l := e.logLocked(f.id)
	switch f.kind {
	case kindAppend:
		v, err := f.numbers(1)
		if err != nil {
			return err
		}
		if _, err := l.check(f.content); err != nil {
			return errors.Join(storage.ErrDamaged, err)
		}
		for h, batch := range record.Batches(f.content).All() {
			l.active().add(&h, batch, fromMs(v[0]))
			l.end = h.NextOffset()
		}
	case kindRoll:
		l.rollLocked()
	case kindTruncate, kindTrim:
		v, err := f.numbers(1)
		if err != nil {
			return err
		}
		if f.kind == kindTrim {
			l.trimLocked(kafka.Offset(v[0]))
		} else {
			l.truncateLocked(kafka.Offset(v[0]))
		}
	case kindReplace, kindContent, kindReplaced, kindSegment, kindBounds:
		return l.applySegment(f)
	case kindPut:
		if len(f.content) == 0 || len(f.content) <= int(f.content[0]) {
			return fmt.Errorf("a blob's name: %w", storage.ErrDamaged)
		}
		n := int(f.content[0])
		l.side.set(string(f.content[1:1+n]), f.content[1+n:])
	case kindDelete:
		l.side.unset(string(f.content))
	case kindRemove:
		delete(e.logs, f.id)
	default:
		return fmt.Errorf("kind %d is of a later version: use that to open it: %w", f.kind, storage.ErrDamaged)
	}
	return nil
}

// pending is the segments of a log that frames are about to complete.
type pending struct {
	from, to kafka.Offset // of a replacement
	segments []*segment
}

// applySegment gathers segments of a snapshot or a replacement and puts them in place.
func (l *Log) applySegment(f *frame) error {
	switch f.kind {
	case kindReplace:
		v, err := f.numbers(2)
		if err != nil {
			return err
		}
		l.pending = &pending{from: kafka.Offset(v[0]), to: kafka.Offset(v[1]), segments: []*segment{newSegment(kafka.Offset(v[0]))}}
		return nil
	case kindSegment:
		v, err := f.numbers(4)
		if err != nil {
			return err
		}
		s := newSegment(kafka.Offset(v[0]))
		s.next, s.created, s.modified = kafka.Offset(v[1]), fromMs(v[2]), fromMs(v[3])
		if l.pending == nil {
			l.pending = &pending{}
		}
		l.pending.segments = append(l.pending.segments, s)
		return nil
	}
	p := l.pending
	if p == nil {
		return fmt.Errorf("content of no segment: %w", storage.ErrDamaged)
	}
	s := p.segments[len(p.segments)-1]
	switch f.kind {
	case kindContent:
		next, created, modified := s.next, s.created, s.modified
		for h, batch := range record.Batches(f.content).All() {
			if h.LastOffsetDelta < 0 || h.BaseOffset < 0 {
				return fmt.Errorf("a batch from %d to %d: %w", h.BaseOffset, h.LastOffset(), storage.ErrDamaged)
			}
			s.add(&h, batch, modified)
		}
		s.next, s.created = max(s.next, next), created
	case kindReplaced:
		l.pending = nil
		i, n, err := l.closedRangeLocked(p.from, p.to)
		if err != nil {
			return errors.Join(storage.ErrDamaged, err)
		}
		l.putLocked(i, n, s, p.to)
	case kindBounds:
		l.pending = nil
		v, err := f.numbers(2)
		if err != nil {
			return err
		}
		if v[0] < 0 || v[1] < v[0] {
			return fmt.Errorf("a log from %d to %d: %w", v[0], v[1], storage.ErrDamaged)
		}
		l.segments, l.start, l.end = p.segments, kafka.Offset(v[0]), kafka.Offset(v[1])
	}
	return nil
}
