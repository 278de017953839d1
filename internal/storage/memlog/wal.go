package memlog

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// wal is the write-ahead log of an engine.
type wal struct {
	e    *Engine
	lock io.Closer
	full atomic.Bool // too little space is left

	// telling is held while logs learn what is durable, by TruncateTo too. Log.mu is taken under it.
	telling sync.Mutex

	mu      sync.Mutex // guards what follows; a leaf, memory work only
	buffer  []byte     // frames that are not written yet
	spare   []byte     // of the last write, to be used again
	taken   int64      // bytes ever put into buffer
	done    int64      // of these, durable; done <= taken
	marks   map[*Log]mark
	fsync   bool // something in buffer wants to be on disk
	waiters []waiter
	failed  error
	closed  bool

	wake  chan struct{} // holds one token while there is work for the committer
	ended chan struct{} // closed at its end

	// Of the committer alone:
	file   vfs.File
	number uint64 // of the file's name
	size   int64
	saving chan error // the snapshot under way; nil: none
}

// mark is what becomes durable of a log with the buffer.
type mark struct {
	upto       kafka.Offset
	generation int // Log.generation then
}

type waiter struct {
	pos  int64
	done chan error // buffered
}

// add puts a frame about the log into the buffer. Log.mu is held.
func (w *wal) add(l *Log, k kind, content ...[]byte) {
	w.mu.Lock()
	before := len(w.buffer)
	w.buffer = appendFrame(w.buffer, k, &l.id, content...)
	w.taken += int64(len(w.buffer) - before)
	w.marks[l] = mark{l.end, l.generation}
	w.fsync = w.fsync || k != kindAppend || l.cfg.Durability == storage.Fsync
	l.position = w.taken
	w.mu.Unlock()
	w.kick()
}

func (w *wal) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// wait returns once everything below pos is durable.
func (w *wal) wait(ctx context.Context, pos int64) error {
	w.mu.Lock()
	if w.done >= pos || w.failed != nil {
		defer w.mu.Unlock()
		if w.done >= pos {
			return nil
		}
		return w.failed
	}
	done := make(chan error, 1)
	w.waiters = append(w.waiters, waiter{pos, done})
	w.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// room waits while too much is to be written, and refuses appends while the disk is full.
func (w *wal) room() error {
	w.mu.Lock()
	pos := w.taken - w.e.opts.BufferBytes
	err := w.failed
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if w.full.Load() && !w.hasSpace() {
		return fmt.Errorf("%s: %w", w.e.opts.Dir, storage.ErrFull)
	}
	if pos <= 0 {
		return nil
	}
	return w.wait(context.Background(), pos)
}

// hasSpace looks how much is free.
func (w *wal) hasSpace() bool {
	free, total, err := w.e.opts.FS.Free(w.e.opts.Dir)
	full := err == nil && free < min(w.e.opts.ReserveBytes, total/20)
	w.full.Store(full)
	return !full
}

func (w *wal) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// fail takes all logs offline (STO-7).
func (w *wal) fail(err error) {
	err = fmt.Errorf("%s: %w: %w", w.e.opts.Dir, storage.ErrOffline, err)
	w.mu.Lock()
	w.failed = err
	waiters := w.waiters
	w.waiters = nil
	w.mu.Unlock()
	for _, x := range waiters {
		x.done <- err
	}
	w.e.mu.Lock()
	var tell []func(error)
	for _, l := range w.e.logs {
		l.mu.RLock()
		if f := l.cfg.OnFailed; f != nil {
			tell = append(tell, f)
		}
		l.mu.RUnlock()
	}
	w.e.mu.Unlock()
	for _, f := range tell {
		f(err)
	}
}
