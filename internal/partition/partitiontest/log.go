package partitiontest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Engine keeps logs in memory, across Close and Open. What is appended becomes durable when the test says so (Hold), or at once, in the
// caller's goroutine.
type Engine struct {
	// Hold: what is appended becomes durable only by Log.Settle.
	Hold bool
	// Now is the clock of segments.
	Now func() time.Time

	mu   sync.Mutex
	logs map[storage.ID]*Log
}

// New returns an engine without logs.
func New() *Engine {
	return &Engine{logs: map[storage.ID]*Log{}, Now: time.Now}
}

// Open implements storage.Engine.
func (e *Engine) Open(id storage.ID, cfg storage.Config) (storage.Log, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.logs[id]
	if l == nil {
		l = &Log{e: e, Blobs: map[string][]byte{}}
		e.logs[id] = l
	}
	l.cfg, l.closed = cfg, false
	return l, nil
}

// Remove implements storage.Engine.
func (e *Engine) Remove(id storage.ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.logs[id]; l != nil {
		l.closed = true
	}
	delete(e.logs, id)
	return nil
}

// List implements storage.Engine.
func (e *Engine) List() (ids []storage.ID, err error) {
	for id := range e.logs {
		ids = append(ids, id)
	}
	return ids, nil
}

// Log is a log that was opened or kept, nil if there is none.
func (e *Engine) Log(id storage.ID) *Log {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.logs[id]
}

// Dirs implements storage.Engine.
func (e *Engine) Dirs() []storage.DirInfo { return []storage.DirInfo{{Path: "fake"}} }

// Close implements storage.Engine.
func (e *Engine) Close() error { return nil }

// Log is one log.
type Log struct {
	e   *Engine
	cfg storage.Config

	// Full refuses appends, if set.
	Full error
	// Block makes an append wait for it, as for back-pressure.
	Block chan struct{}
	// Stuck makes nothing more durable by Sync, as on a full disk.
	Stuck bool
	// Blobs are the sidecar. A nil one is damaged.
	Blobs map[string][]byte
	// Puts and Reads count calls.
	Puts, Reads atomic.Int64

	mu       sync.Mutex // guards what follows
	segments [][]batch
	born     []storage.SegmentInfo // Created and Modified of each segment
	start    kafka.Offset
	end      kafka.Offset
	durable  kafka.Offset
	closed   bool
}

type batch struct {
	header record.Header
	bytes  []byte
}

// Append implements storage.Log.
func (l *Log) Append(b record.Batches) (storage.Span, error) {
	if l.Block != nil {
		<-l.Block
	}
	l.mu.Lock()
	if l.Full != nil || l.closed {
		defer l.mu.Unlock()
		if l.closed {
			return storage.Span{}, storage.ErrClosed
		}
		return storage.Span{}, l.Full
	}
	span := storage.Span{First: l.end, Bytes: len(b)}
	now := l.e.Now()
	if len(l.segments) == 0 {
		l.segments, l.born = append(l.segments, nil), append(l.born, storage.SegmentInfo{})
	}
	last := len(l.segments) - 1
	for h, raw := range b.All() {
		if h.BaseOffset < l.end {
			panic("offset goes back")
		}
		if len(l.segments[last]) == 0 {
			l.born[last].Created = now
		}
		l.born[last].Modified = now
		l.segments[last] = append(l.segments[last], batch{h, slices.Clone(raw)})
		l.end = h.NextOffset()
	}
	span.Next = l.end
	hold := l.e.Hold
	l.mu.Unlock()
	if !hold {
		l.Settle(span.Next)
	}
	return span, nil
}

// Settle makes the log durable up to an offset.
func (l *Log) Settle(upto kafka.Offset) {
	l.mu.Lock()
	l.durable = max(l.durable, upto)
	tell := l.cfg.OnDurable
	l.mu.Unlock()
	tell(upto)
}

// Fail takes the log offline, as after an I/O error.
func (l *Log) Fail(err error) {
	l.mu.Lock()
	l.Full = err
	tell := l.cfg.OnFailed
	l.mu.Unlock()
	tell(err)
}

// SetDurable says what a Crash keeps, and tells nobody.
func (l *Log) SetDurable(upto kafka.Offset) { l.durable = upto }

// Crash loses what is not durable.
func (l *Log) Crash() {
	for i := range l.segments {
		l.segments[i] = slices.DeleteFunc(l.segments[i], func(b batch) bool { return b.header.BaseOffset >= l.durable })
	}
	l.end = l.durable
}

// Sync implements storage.Log. With Stuck it waits until ctx ends, as it does on a full disk.
func (l *Log) Sync(ctx context.Context, upto kafka.Offset) error {
	if l.closed {
		return storage.ErrClosed
	}
	if l.Stuck && upto > l.Bounds().Durable {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if upto > l.Bounds().Durable {
		l.Settle(upto)
	}
	return nil
}

// Read implements storage.Log.
func (l *Log) Read(from kafka.Offset, lim storage.ReadLimit) (storage.Extent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Reads.Add(1)
	if l.closed {
		return nil, storage.ErrClosed
	}
	if from < l.start || from > l.end {
		return nil, kafka.OffsetOutOfRange
	}
	var out []byte
	for _, s := range l.segments {
		for _, b := range s {
			if b.header.NextOffset() <= from {
				continue
			}
			if lim.Below >= 0 && b.header.BaseOffset >= lim.Below || len(out) > 0 && len(out)+len(b.bytes) > lim.MaxBytes {
				goto done
			}
			out = append(out, b.bytes...)
		}
	}
done:
	if len(out) == 0 {
		return nil, nil
	}
	return &extent{bytes.NewReader(out), out}, nil
}

// Each visits the batches that are in the log, also when it is closed.
func (l *Log) Each(visit func(h record.Header, batch record.Batches)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		for i := range s {
			if s[i].header.NextOffset() > l.start {
				visit(s[i].header, s[i].bytes)
			}
		}
	}
}

// Bounds implements storage.Log.
func (l *Log) Bounds() storage.Bounds {
	l.mu.Lock()
	defer l.mu.Unlock()
	return storage.Bounds{Start: l.start, End: l.end, Durable: l.durable}
}

// TruncateTo implements storage.Log.
func (l *Log) TruncateTo(end kafka.Offset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Full != nil || l.closed {
		return storage.ErrOffline
	}
	if end >= l.end {
		return nil
	}
	l.end = l.start
	for i := range l.segments {
		l.segments[i] = slices.DeleteFunc(l.segments[i], func(b batch) bool { return b.header.NextOffset() > end })
		if n := len(l.segments[i]); n > 0 {
			l.end = max(l.end, l.segments[i][n-1].header.NextOffset())
		}
	}
	l.durable = min(l.durable, l.end)
	return nil
}

// TrimTo implements storage.Log.
func (l *Log) TrimTo(start kafka.Offset) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start = max(l.start, start)
	for len(l.segments) > 1 && (len(l.segments[0]) == 0 || l.segments[0][len(l.segments[0])-1].header.NextOffset() <= l.start) {
		l.segments, l.born = l.segments[1:], l.born[1:]
	}
	return nil
}

func (l *Log) find(match func(*record.Header) bool) (storage.OffsetTime, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		for i := range s {
			if h := &s[i].header; h.NextOffset() > l.start && match(h) {
				return storage.OffsetTime{Offset: h.BaseOffset, Timestamp: h.MaxTimestamp}, nil
			}
		}
	}
	return storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}, nil
}

// OffsetForTime implements storage.Log.
func (l *Log) OffsetForTime(ts kafka.Timestamp) (storage.OffsetTime, error) {
	return l.find(func(h *record.Header) bool { return h.MaxTimestamp >= ts })
}

// MaxTimestamp implements storage.Log.
func (l *Log) MaxTimestamp() (storage.OffsetTime, error) {
	most := kafka.NoTimestamp
	if _, err := l.find(func(h *record.Header) bool { most = max(most, h.MaxTimestamp); return false }); err != nil {
		return storage.OffsetTime{}, err
	}
	return l.OffsetForTime(most)
}

// Sidecar implements storage.Log.
func (l *Log) Sidecar() storage.Sidecar { return sidecar{l} }

// Configure implements storage.Log.
func (l *Log) Configure(c storage.Config) { l.cfg = c }

// Close implements storage.Log.
func (l *Log) Close() error { l.closed = true; return nil }

// Size implements storage.Log.
func (l *Log) Size() (n int64) {
	for _, s := range l.Segments() {
		n += s.Bytes
	}
	return n
}

// Segments implements storage.Segmented.
func (l *Log) Segments() (all []storage.SegmentInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.end
	for i := len(l.segments) - 1; i >= 0; i-- {
		info := l.born[i]
		info.Base, info.Next, info.MaxTimestamp, info.Active = next, next, kafka.NoTimestamp, i == len(l.segments)-1
		for j, b := range l.segments[i] {
			if j == 0 {
				info.Base = b.header.BaseOffset
			}
			info.Bytes += int64(len(b.bytes))
			info.MaxTimestamp = max(info.MaxTimestamp, b.header.MaxTimestamp)
		}
		next = info.Base
		all = append(all, info)
	}
	slices.Reverse(all)
	return all
}

// Roll implements storage.Segmented.
func (l *Log) Roll() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && len(l.segments[n-1]) > 0 {
		l.segments, l.born = append(l.segments, nil), append(l.born, storage.SegmentInfo{})
	}
	return nil
}

// ReplaceSegments implements storage.Segmented.
func (l *Log) ReplaceSegments(kafka.Offset, kafka.Offset, func(func(record.Batches) error) error) error {
	return errors.ErrUnsupported
}

// ReadSegment implements storage.Segmented.
func (l *Log) ReadSegment(kafka.Offset, func(record.Batches) error) error {
	return errors.ErrUnsupported
}

type extent struct {
	io.WriterTo
	b []byte
}

func (x *extent) Len() int                       { return len(x.b) }
func (x *extent) Bytes() (record.Batches, error) { return x.b, nil }
func (x *extent) Release()                       {}

type sidecar struct{ l *Log }

func (s sidecar) Get(name string) ([]byte, error) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	b, ok := s.l.Blobs[name]
	switch {
	case !ok:
		return nil, fs.ErrNotExist
	case b == nil:
		return nil, storage.ErrDamaged
	}
	return b, nil
}
func (s sidecar) Put(name string, b []byte) error {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.l.Blobs[name] = slices.Clone(b)
	s.l.Puts.Add(1)
	return nil
}
func (s sidecar) Delete(name string) error {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	delete(s.l.Blobs, name)
	return nil
}

func (s sidecar) List() (names []string, err error) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	for n := range s.l.Blobs {
		names = append(names, n)
	}
	return names, nil
}
