package memlog

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Log is one partition's log.
type Log struct {
	e    *Engine
	id   storage.ID
	side sidecar

	// mu guards what follows and the blobs: readers share it, the one writer takes it whole. Held for memory work only.
	mu         sync.RWMutex
	cfg        storage.Config
	start      kafka.Offset // start <= end
	durable    kafka.Offset // with a write-ahead log: everything below is durable
	end        kafka.Offset
	segments   []*segment // contiguous; never empty, the last one is active
	generation int        // counts truncations
	position   int64      // in the write-ahead log, after the last change
	closed     bool
	pending    *pending // during recovery
}

var (
	_ storage.Log       = (*Log)(nil)
	_ storage.Segmented = (*Log)(nil)
)

func newLog(e *Engine, id storage.ID) *Log {
	l := &Log{e: e, id: id, segments: []*segment{newSegment(0)}}
	l.side.log = l
	return l
}

// change runs fn with the locks of a change, unless the log takes none, and returns the position after it in the write-ahead log.
func (l *Log) change(fn func() error) (pos int64, err error) {
	l.e.ops.RLock()
	defer l.e.ops.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return 0, err
	}
	err = fn()
	return l.position, err
}

// changeDurably is change, and a wait until it is durable.
func (l *Log) changeDurably(fn func() error) error {
	pos, err := l.change(fn)
	if err != nil || l.e.wal == nil {
		return err
	}
	return l.e.wal.wait(context.Background(), pos)
}

// noteLocked puts a change into the write-ahead log, if there is one. mu is held.
func (l *Log) noteLocked(k kind, content ...[]byte) {
	if l.e.wal != nil {
		l.e.wal.add(l, k, content...)
	}
}

func (l *Log) reopen(cfg storage.Config) {
	l.mu.Lock()
	l.closed = false
	l.mu.Unlock()
	l.Configure(cfg)
}

// Configure implements storage.Log.
func (l *Log) Configure(cfg storage.Config) {
	if cfg.SegmentBytes <= 0 {
		cfg.SegmentBytes = 1 << 30
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cfg.OnDurable == nil {
		cfg.OnDurable = l.cfg.OnDurable
	}
	l.cfg = cfg
}

func (l *Log) active() *segment { return l.segments[len(l.segments)-1] }

// usableLocked is the reason why the log takes no changes, or nil.
func (l *Log) usableLocked() error {
	if l.closed {
		return l.errorf("%w", storage.ErrClosed)
	}
	if l.e.wal != nil {
		return l.e.wal.failure()
	}
	return nil
}

// Append implements storage.Log. With a write-ahead log it waits while more than Options.BufferBytes are to be written. Without, memory is
// as durable as it gets: OnDurable is called here, before Append returns, on the caller's goroutine.
func (l *Log) Append(b record.Batches) (span storage.Span, err error) {
	if w := l.e.wal; w != nil {
		if err := w.room(); err != nil {
			return span, l.errorf("append: %w", err)
		}
	}
	var tell func(kafka.Offset)
	_, err = l.change(func() error {
		tell = l.cfg.OnDurable
		span, err = l.appendLocked(b)
		return err
	})
	if err == nil && tell != nil && l.e.wal == nil {
		tell(span.Next)
	}
	return span, err
}

func (l *Log) appendLocked(b record.Batches) (storage.Span, error) {
	first, err := l.check(b)
	if err != nil {
		return storage.Span{}, err
	}
	now := l.e.now()
	stamp := [8]byte{}
	binary.BigEndian.PutUint64(stamp[:], uint64(ms(now)))
	noted, at := 0, 0
	for h, batch := range b.All() {
		if s := l.active(); s.size > 0 && s.size+int64(len(batch)) > l.cfg.SegmentBytes {
			if at > noted {
				l.noteLocked(kindAppend, stamp[:], b[noted:at])
				noted = at
			}
			l.rollLocked()
		}
		l.active().add(&h, batch, now)
		l.end = h.NextOffset()
		at += len(batch)
	}
	l.noteLocked(kindAppend, stamp[:], b[noted:])
	return storage.Span{First: first, Next: l.end, Bytes: len(b)}, nil
}

// check sees that b is whole batches whose offsets continue the log.
func (l *Log) check(b record.Batches) (first kafka.Offset, err error) {
	next, n := l.end, 0
	first = kafka.NoOffset
	for h, batch := range b.All() {
		if h.BaseOffset < next || h.LastOffsetDelta < 0 {
			return 0, l.errorf("append a batch at offset %d to a log that ends at %d", h.BaseOffset, next)
		}
		if n == 0 {
			first = h.BaseOffset
		}
		next = h.NextOffset()
		n += len(batch)
	}
	if n == 0 || n != len(b) {
		return 0, l.errorf("append %d bytes, of which %d are whole batches", len(b), n)
	}
	return first, nil
}

// Sync implements storage.Log: memory is durable at once, the write-ahead log once it is synced.
func (l *Log) Sync(ctx context.Context, upto kafka.Offset) error {
	w := l.e.wal
	if w == nil {
		return nil
	}
	if err := w.failure(); err != nil {
		return err
	}
	l.mu.RLock()
	pos, done := l.position, l.durable >= min(upto, l.end)
	l.mu.RUnlock()
	if done {
		return nil
	}
	return w.wait(ctx, pos)
}

// Bounds implements storage.Log.
func (l *Log) Bounds() storage.Bounds {
	l.mu.RLock()
	defer l.mu.RUnlock()
	b := storage.Bounds{Start: l.start, End: l.end, Durable: l.end}
	if l.e.wal != nil {
		b.Durable = max(l.durable, l.start)
	}
	return b
}

// Size implements storage.Log.
func (l *Log) Size() (n int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// Sidecar implements storage.Log.
func (l *Log) Sidecar() storage.Sidecar { return &l.side }

// Close implements storage.Log. Reads go on until the log is removed; writes need it opened again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// removeLocked ends the log and returns the position after that in the write-ahead log. Engine.mu is held.
func (l *Log) removeLocked() (pos int64) {
	l.e.ops.RLock()
	defer l.e.ops.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.generation++
	l.segments = []*segment{newSegment(l.end)}
	l.start = l.end
	l.noteLocked(kindRemove)
	return l.position
}
