package memlog

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// image is a log at one instant. It shares the chunks' bytes, which do not change (MEM-1).
type image struct {
	id         storage.ID
	start, end kafka.Offset
	segments   []segment
	contents   [][]record.Batches // of each segment's chunks
	blobs      map[string][]byte
}

// maybeSnapshot begins a snapshot when the write-ahead log has grown large, and looks after one that has ended. The committer calls it.
func (w *wal) maybeSnapshot() error {
	if w.saving != nil {
		select {
		case err := <-w.saving:
			w.saving = nil
			if err != nil && !errors.Is(err, vfs.ErrNoSpace) { // without room for it the files before it stay, and serve as well
				return err
			}
		default:
			return nil
		}
	}
	if w.size < w.e.opts.SnapshotBytes || w.size < w.e.liveBytes() {
		return nil
	}
	t, images := w.cut()
	if err := w.write(t); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil { // before anything is in the next one, so that only the last can be torn
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	if err := w.create(w.number + 1); err != nil {
		return err
	}
	saving, number := make(chan error, 1), w.number
	w.saving = saving
	go func() { saving <- w.save(number, images); w.kick() }()
	return nil
}

// cut takes the buffer and the state of all logs at one instant (MEM-2).
func (w *wal) cut() (taking, []image) {
	e := w.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ops.Lock()
	defer e.ops.Unlock()
	var images []image
	for _, l := range e.logs {
		images = append(images, l.image())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.takeLocked(), images
}

func (l *Log) image() image {
	l.mu.RLock()
	defer l.mu.RUnlock()
	i := image{id: l.id, start: l.start, end: l.end, blobs: l.side.all()}
	for _, s := range l.segments {
		var all []record.Batches
		for _, c := range s.chunks {
			all = append(all, c.bytes[:len(c.bytes):len(c.bytes)])
		}
		i.segments, i.contents = append(i.segments, *s), append(i.contents, all)
	}
	return i
}

// liveBytes is what a snapshot would hold.
func (e *Engine) liveBytes() (n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.logs {
		n += l.Size()
	}
	return n
}

// save writes the snapshot with which a write-ahead log begins, and deletes what came before (MEM-3).
func (w *wal) save(number uint64, images []image) error {
	fsys, dir := w.e.opts.FS, w.e.opts.Dir
	path := filepath.Join(dir, snapshotName(number))
	f, err := fsys.Open(path+".tmp", vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	s := saver{file: f}
	for i := range images {
		if err = s.log(&images[i]); err != nil {
			break
		}
	}
	if err == nil {
		s.buffer = appendFrame(s.buffer, kindEndSnapshot, &storage.ID{})
		err = s.flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(path+".tmp", path); err != nil {
		return err
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	return w.e.removeBefore(number)
}

// removeBefore deletes the files that a snapshot makes superfluous.
func (e *Engine) removeBefore(number uint64) error {
	snapshots, wals, others, err := e.files()
	if err != nil {
		return err
	}
	for _, n := range snapshots {
		if n < number {
			others = append(others, snapshotName(n))
		}
	}
	for _, n := range wals {
		if n < number {
			others = append(others, walName(n))
		}
	}
	for _, name := range others {
		if err := e.opts.FS.Remove(filepath.Join(e.opts.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// saver writes frames to a file.
type saver struct {
	file   vfs.File
	size   int64
	buffer []byte
}

const saveBytes = 1 << 20

func (s *saver) log(i *image) error {
	for k := range i.segments {
		g := &i.segments[k]
		s.buffer = appendFrame(s.buffer, kindSegment, &i.id, numbers(int64(g.base), int64(g.next), ms(g.created), ms(g.modified)))
		for _, b := range i.contents[k] {
			s.buffer = appendFrame(s.buffer, kindContent, &i.id, b)
			if len(s.buffer) >= saveBytes {
				if err := s.flush(); err != nil {
					return err
				}
			}
		}
	}
	s.buffer = appendFrame(s.buffer, kindBounds, &i.id, numbers(int64(i.start), int64(i.end)))
	for name, blob := range i.blobs {
		s.buffer = appendFrame(s.buffer, kindPut, &i.id, []byte{byte(len(name))}, []byte(name), blob)
	}
	return s.flush()
}

func (s *saver) flush() error {
	n, err := s.file.WriteAt(s.buffer, s.size)
	s.size += int64(n)
	s.buffer = s.buffer[:0]
	return err
}

// ms is a time in milliseconds, 0 for the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMs(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(v)
}
