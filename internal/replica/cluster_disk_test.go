package replica

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

var errDisk = errors.New("the disk is broken")

// faultyEngine breaks the disk of single logs.
type faultyEngine struct {
	storage.Engine
	mu     sync.Mutex
	broken map[storage.ID]bool
	stuck  map[storage.ID]chan struct{} // Sync waits until it is closed
	full   bool                         // appends are refused
}

// hold has Sync of a log wait until the returned function is called.
func (e *faultyEngine) hold(id storage.ID) (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gate := make(chan struct{})
	if e.stuck == nil {
		e.stuck = map[storage.ID]chan struct{}{}
	}
	e.stuck[id] = gate
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.stuck, id)
		close(gate)
	}
}

// breakLog has a log fail from now on.
func (e *faultyEngine) breakLog(id storage.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken == nil {
		e.broken = map[storage.ID]bool{}
	}
	e.broken[id] = true
}

func (e *faultyEngine) mend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.broken)
}

func (e *faultyEngine) isBroken(id storage.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.broken[id]
}

// fill has the directory be full, or have room.
func (e *faultyEngine) fill(full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = full
}

func (e *faultyEngine) isFull() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.full
}

func (e *faultyEngine) Dirs() []storage.DirInfo {
	return []storage.DirInfo{{Path: "data", Full: e.isFull()}}
}

func (e *faultyEngine) Open(id storage.ID, cfg storage.Config) (storage.Log, error) {
	log, err := e.Engine.Open(id, cfg)
	if err != nil {
		return nil, err
	}
	l := &faultyLog{Log: log, Segmented: log.(storage.Segmented), e: e, id: id}
	l.failed.Store(&cfg.OnFailed)
	return l, nil
}

type faultyLog struct {
	storage.Log
	storage.Segmented
	e      *faultyEngine
	id     storage.ID
	failed atomic.Pointer[func(error)]
}

func (l *faultyLog) Sync(ctx context.Context, upto kafka.Offset) error {
	l.e.mu.Lock()
	gate := l.e.stuck[l.id]
	l.e.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return l.Log.Sync(ctx, upto)
}

func (l *faultyLog) Append(b record.Batches) (storage.Span, error) {
	if l.e.isBroken(l.id) {
		if tell := l.failed.Swap(nil); tell != nil {
			(*tell)(errDisk)
		}
		return storage.Span{}, errDisk
	}
	if l.e.isFull() {
		return storage.Span{}, storage.ErrFull
	}
	return l.Log.Append(b)
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var _ io.Writer = (*lockedBuffer)(nil)
