package memlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Options of an Engine; zero values mean the defaults in brackets.
type Options struct {
	// Dir is where the write-ahead log and the snapshots are kept. [none: everything is forgotten at Close]
	Dir string
	// FS is the file system of Dir. [the operating system's]
	FS vfs.FS
	// SnapshotBytes is the size of the write-ahead log at which a snapshot is written, unless the logs themselves are larger: then it is
	// theirs. [64 MiB]
	SnapshotBytes int64
	// BufferBytes may wait to be written; more makes Append wait. [32 MiB]
	BufferBytes int64
	// ReserveBytes: with less free space than this appends are refused with storage.ErrFull. [64 MiB, at most 1/20 of the file system]
	ReserveBytes uint64
	// Now is the clock that stamps segments. [time.Now]
	Now func() time.Time
}

// Engine keeps logs in memory.
type Engine struct {
	opts Options
	now  func() time.Time
	wal  *wal // nil without Options.Dir

	mu     sync.Mutex // guards what follows; memory work only
	logs   map[storage.ID]*Log
	closed bool

	ops sync.RWMutex // see the package's comment
}

var _ storage.Engine = (*Engine)(nil)

// Open returns an engine with what Options.Dir holds: storage.ErrDamaged if that cannot be read.
func Open(o Options) (*Engine, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.SnapshotBytes <= 0 {
		o.SnapshotBytes = 64 << 20
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = 32 << 20
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = 64 << 20
	}
	e := &Engine{opts: o, now: o.Now, logs: map[storage.ID]*Log{}}
	if o.Dir == "" {
		return e, nil
	}
	if err := e.recover(); err != nil {
		return nil, fmt.Errorf("memory engine in %s: %w", o.Dir, err)
	}
	go e.wal.commit()
	return e, nil
}

// Open implements storage.Engine. A log that was closed comes back with all it had; a new topic id under an old name begins at 0 beside the
// old log, which Remove ends.
func (e *Engine) Open(id storage.ID, cfg storage.Config) (storage.Log, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, storage.ErrClosed
	}
	l := e.logLocked(id)
	l.reopen(cfg)
	return l, nil
}

func (e *Engine) logLocked(id storage.ID) *Log {
	l := e.logs[id]
	if l == nil {
		l = newLog(e, id)
		e.logs[id] = l
	}
	return l
}

// Remove implements storage.Engine. Extents that are still open keep their memory until the last is forgotten.
func (e *Engine) Remove(id storage.ID) error {
	e.mu.Lock()
	l := e.logs[id]
	if l == nil {
		e.mu.Unlock()
		return nil
	}
	delete(e.logs, id)
	pos := l.removeLocked()
	e.mu.Unlock()
	if e.wal == nil {
		return nil
	}
	return e.wal.wait(context.Background(), pos)
}

// List implements storage.Engine.
func (e *Engine) List() ([]storage.ID, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]storage.ID, 0, len(e.logs))
	for id := range e.logs {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b storage.ID) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), slices.Compare(a.TopicID[:], b.TopicID[:]))
	})
	return ids, nil
}

// Dirs implements storage.Engine: Options.Dir, if there is one.
func (e *Engine) Dirs() []storage.DirInfo {
	if e.wal == nil {
		return nil
	}
	i := storage.DirInfo{Path: e.opts.Dir, Failed: e.wal.failure(), Full: e.wal.full.Load()}
	if free, total, err := e.opts.FS.Free(e.opts.Dir); err == nil {
		i.Free, i.Total = free, total
	}
	return []storage.DirInfo{i}
}

// Close implements storage.Engine. What was appended is written and synced if there is a directory, and forgotten if not.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	var errs []error
	for _, l := range e.logs {
		errs = append(errs, l.Close())
	}
	e.mu.Unlock()
	if e.wal != nil {
		errs = append(errs, e.wal.close())
	}
	e.mu.Lock()
	clear(e.logs)
	e.mu.Unlock()
	return errors.Join(errs...)
}

// errorf names the log and keeps the cause.
func (l *Log) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", l.id, fmt.Errorf(format, args...))
}
