package memlog

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

// commit is the committer: it writes what has come together, syncs it once, and tells.
func (w *wal) commit() {
	defer close(w.ended)
	for range w.wake {
		if err := w.flush(); err != nil {
			w.fail(err)
			return
		}
		w.mu.Lock()
		closed := w.closed && len(w.buffer) == 0
		w.mu.Unlock()
		if closed {
			return
		}
		if err := w.maybeSnapshot(); err != nil {
			w.fail(err)
			return
		}
	}
}

// taking is the buffer as a flush takes it.
type taking struct {
	bytes []byte
	marks map[*Log]mark
	pos   int64
	fsync bool
}

func (w *wal) takeLocked() taking {
	t := taking{w.buffer, w.marks, w.taken, w.fsync}
	w.buffer, w.spare = w.spare[:0], nil
	w.marks, w.fsync = map[*Log]mark{}, false
	return t
}

func (w *wal) flush() error {
	w.mu.Lock()
	t := w.takeLocked()
	w.mu.Unlock()
	return w.write(t)
}

// maxSpare is the largest buffer that is kept.
const maxSpare = 4 << 20

// write makes a taking durable.
func (w *wal) write(t taking) error {
	if len(t.bytes) == 0 {
		return nil
	}
	if _, err := w.file.WriteAt(t.bytes, w.size); err != nil {
		return err
	}
	w.size += int64(len(t.bytes))
	if t.fsync {
		if err := w.file.Sync(); err != nil {
			return err
		}
	}
	w.hasSpace()
	w.tell(t)
	return nil
}

// tell raises what is durable, wakes who waits for it and then calls OnDurable.
func (w *wal) tell(t taking) {
	w.telling.Lock()
	defer w.telling.Unlock()
	type call struct {
		fn   func(kafka.Offset)
		upto kafka.Offset
	}
	var calls []call
	for l, m := range t.marks {
		l.mu.Lock()
		if m.generation == l.generation && m.upto > l.durable {
			l.durable = m.upto
			if l.cfg.OnDurable != nil {
				calls = append(calls, call{l.cfg.OnDurable, m.upto})
			}
		}
		l.mu.Unlock()
	}
	w.mu.Lock()
	w.done = t.pos
	if cap(t.bytes) <= maxSpare {
		w.spare = t.bytes[:0]
	}
	left := w.waiters[:0]
	for _, x := range w.waiters {
		if x.pos <= t.pos {
			x.done <- nil
		} else {
			left = append(left, x)
		}
	}
	clear(w.waiters[len(left):])
	w.waiters = left
	w.mu.Unlock()
	for _, c := range calls {
		c.fn(c.upto)
	}
}

func walName(number uint64) string      { return fmt.Sprintf("wal-%020d", number) }
func snapshotName(number uint64) string { return fmt.Sprintf("snapshot-%020d", number) }

// create begins the write-ahead log of the number.
func (w *wal) create(number uint64) error {
	f, err := w.e.opts.FS.Open(filepath.Join(w.e.opts.Dir, walName(number)), vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	if err := w.e.opts.FS.SyncDir(w.e.opts.Dir); err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.number, w.size = f, number, 0
	return nil
}

// close writes what is left and ends the goroutines.
func (w *wal) close() error {
	w.mu.Lock()
	w.closed = true
	w.fsync = true
	w.mu.Unlock()
	w.kick()
	<-w.ended
	errs := []error{w.failure()}
	if w.saving != nil {
		errs = append(errs, <-w.saving)
	}
	if errs[0] == nil {
		errs = append(errs, w.file.Sync()) // appends that wanted no sync
	}
	errs = append(errs, w.file.Close(), w.lock.Close())
	return errors.Join(errs...)
}
