package seglog

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Log is one partition's log. See the package's comment for where its bytes are.
type Log struct {
	e    *Engine
	d    *dir
	id   storage.ID
	path string

	loadOnce sync.Mutex  // one loader at a time
	loaded   atomic.Bool // what is on disk is known
	side     sidecar

	// telling is held while OnDurable is told. Taken before mu; nothing else is taken under it but mu and what the owner's function takes.
	telling sync.Mutex

	// flushMu is held by who writes the segments: a flush, TruncateTo, ReplaceSegments, close. Taken before mu.
	flushMu sync.Mutex

	// mu guards what follows. Memory work only, never across I/O. It is taken after Engine.mu and before the pool's and caches' locks.
	mu       sync.Mutex
	cfg      storage.Config
	failed   error
	closed   bool
	removed  bool
	cuts     int          // counts truncations
	gen      uint64       // counts truncations and replacements, so that a reader notices one
	start    kafka.Offset // start <= durable <= end
	edges    edges        // edges.start is above end only until the journal was replayed
	durable  kafka.Offset
	end      kafka.Offset
	segments []*segment // contiguous, the last one is active; empty until loaded
	active   indexer    // of the active segment
	tail     []*block   // contiguous bytes up to the end of the active segment, oldest first; may reach back into sealed segments

	cursors   cursors
	inspected inspected

	appended     int64        // bytes ever appended since load
	committed    int64        // of these, in the journal or in segments
	committedEnd kafka.Offset // the log end then: what a journal entry continues
	flushed      int64        // of these, in segments and (Fsync) synced; <= committed... or ahead of it while a direct commit runs
	records      int64        // records appended since the last fsync, for Config.FlushMessages
	unsynced     bool         // Cached: something was written since the last fsync
	syncNow      bool         // the next flush syncs
	syncedAt     time.Time
	loose        int64        // bytes in segments that were never synced
	partly       bool         // a flush has failed after it had completed segments, as it may have
	unsaved      bool         // the active segment's index files are missing or older than it
	queued       bool         // in the committer's queue
	direct       bool         // a worker is to commit it by writing its segment
	flushing     bool         // it is with a worker
	pinned       *journalFile // the oldest journal file with bytes of ours that are not in segments
	pinnedAt     int64        // when, in ns of Options.Now; for FlushAge
	waiters      []syncWaiter // sorted by upto
	checkpoint   checkpoint   // what the checkpoint file knows, or is to know next
}

type syncWaiter struct {
	upto kafka.Offset
	done chan error // buffered
}

var (
	_ storage.Log       = (*Log)(nil)
	_ storage.Segmented = (*Log)(nil)
)

func newLog(e *Engine, d *dir, id storage.ID, cfg storage.Config) *Log {
	l := &Log{e: e, d: d, id: id, path: filepath.Join(d.path, id.String()), cfg: normal(cfg)}
	l.side = sidecar{fs: e.fs, log: l}
	return l
}

// normal puts Kafka's defaults in place of zeros.
func normal(c storage.Config) storage.Config {
	if c.SegmentBytes <= 0 {
		c.SegmentBytes = 1 << 30
	}
	if c.IndexInterval <= 0 {
		c.IndexInterval = 4096
	}
	return c
}

// Configure implements storage.Log.
func (l *Log) Configure(c storage.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.OnDurable == nil {
		c.OnDurable = l.cfg.OnDurable
	}
	if c.OnFailed == nil {
		c.OnFailed = l.cfg.OnFailed
	}
	if c.OnRot == nil {
		c.OnRot = l.cfg.OnRot
	}
	l.cfg = normal(c)
}

// Bounds implements storage.Log. A log that cannot be loaded has no bounds: zeros, and the reason from Append or Read.
func (l *Log) Bounds() storage.Bounds {
	if l.load() != nil {
		return storage.Bounds{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return storage.Bounds{Start: l.start, End: l.end, Durable: l.durable}
}

// Size implements storage.Log.
func (l *Log) Size() int64 {
	if !l.loaded.Load() {
		l.mu.Lock()
		n := l.checkpoint.size
		l.mu.Unlock()
		if n > 0 || l.load() != nil {
			return n
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// usableLocked is the reason why the log takes no writes, or nil.
func (l *Log) usableLocked() error {
	switch {
	case l.failed != nil:
		return l.failed
	case l.closed || l.removed:
		return fmt.Errorf("%s: %w", l.id, storage.ErrClosed)
	}
	return nil
}

// fail takes the log offline (STO-7): nothing later on it is durable, who waits is told, and so is the owner, once.
func (l *Log) fail(err error) {
	l.mu.Lock()
	if l.failed != nil || l.removed {
		l.mu.Unlock()
		return
	}
	l.failed = fmt.Errorf("%s: %w: %w", l.id, storage.ErrOffline, err)
	err = l.failed
	waiters := l.waiters
	l.waiters = nil
	tell := l.cfg.OnFailed
	l.mu.Unlock()
	l.e.opts.Logger.Error("log taken offline", "log", l.id.String(), "err", err)
	for _, w := range waiters {
		w.done <- err
	}
	if tell != nil {
		tell(err)
	}
}

// Append implements storage.Log. The caller is the only writer (STO-6).
func (l *Log) Append(b record.Batches) (storage.Span, error) {
	if err := l.load(); err != nil {
		return storage.Span{}, err
	}
	if err := l.d.refuses(len(b)); err != nil {
		return storage.Span{}, fmt.Errorf("append to %s: %w", l.id, err)
	}
	first, next, err := l.checkAppend(b)
	if err != nil {
		return storage.Span{}, err
	}
	fresh, err := l.lockWithRoom(first, next, len(b))
	if err != nil {
		return storage.Span{}, err
	}
	l.takeLocked(b, next, fresh)
	enqueue := !l.queued && !l.direct
	l.queued = l.queued || enqueue
	l.mu.Unlock()
	if enqueue {
		l.d.commit.enqueue(l)
	}
	return storage.Span{First: first, Next: next, Bytes: len(b)}, nil
}

// takeLocked makes b the end of the log, in memory. fresh are blocks for what the last one has no room for.
func (l *Log) takeLocked(b record.Batches, next kafka.Offset, fresh []mem) {
	for _, m := range l.writeTailLocked(b, fresh) {
		l.e.pool.put(m)
	}
	s := l.activeLocked()
	now := l.e.opts.Now()
	if s.size == 0 {
		s.created = now
	}
	for h, batch := range b.All() {
		l.active.add(&h, s.size, l.cfg.IndexInterval)
		s.size += int64(len(batch))
		l.records += int64(h.Records)
	}
	s.next, s.modified = next, now
	s.max, s.any = l.active.max, l.active.any
	l.unsaved = true
	l.end = next
	l.appended += int64(len(b))
}

// checkAppend sees that b is whole batches whose offsets continue the log.
func (l *Log) checkAppend(b record.Batches) (first, next kafka.Offset, err error) {
	l.mu.Lock()
	next = l.end
	l.mu.Unlock()
	first = kafka.NoOffset
	n := 0
	for h, batch := range b.All() {
		if h.BaseOffset < next || h.LastOffsetDelta < 0 {
			return 0, 0, fmt.Errorf("append to %s: batch at offset %d, but the log ends at %d", l.id, h.BaseOffset, next)
		}
		if first < 0 {
			first = h.BaseOffset
		}
		next = h.NextOffset()
		n += len(batch)
	}
	if n != len(b) || n == 0 {
		return 0, 0, fmt.Errorf("append to %s: %d bytes of %d are whole batches", l.id, n, len(b))
	}
	return first, next, nil
}

// Sync implements storage.Log.
func (l *Log) Sync(ctx context.Context, upto kafka.Offset) error {
	if err := l.load(); err != nil {
		return err
	}
	l.mu.Lock()
	if upto > l.end {
		upto = l.end
	}
	if l.failed != nil {
		defer l.mu.Unlock()
		return l.failed
	}
	if l.durable >= upto {
		l.mu.Unlock()
		return nil
	}
	if l.closed || l.removed {
		defer l.mu.Unlock()
		return l.usableLocked()
	}
	w := syncWaiter{upto: upto, done: make(chan error, 1)}
	i := len(l.waiters)
	for i > 0 && l.waiters[i-1].upto > upto {
		i--
	}
	l.waiters = append(l.waiters, syncWaiter{})
	copy(l.waiters[i+1:], l.waiters[i:])
	l.waiters[i] = w
	l.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		l.mu.Lock()
		for i := range l.waiters {
			if l.waiters[i].done == w.done {
				l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
				break
			}
		}
		l.mu.Unlock()
		return ctx.Err()
	}
}

// setDurable raises the durable offset and tells who waits for it, in order, one call at a time. cuts is Log.cuts when upto was the log end:
// what was durable before a truncation says nothing about what came after it.
func (l *Log) setDurable(upto kafka.Offset, cuts int) {
	l.telling.Lock()
	defer l.telling.Unlock()
	l.mu.Lock()
	if upto <= l.durable || l.failed != nil || cuts != l.cuts {
		l.mu.Unlock()
		return
	}
	l.durable = upto
	n := 0
	for n < len(l.waiters) && l.waiters[n].upto <= upto {
		l.waiters[n].done <- nil
		n++
	}
	if n > 0 {
		l.waiters = append(l.waiters[:0], l.waiters[n:]...)
	}
	tell := l.cfg.OnDurable
	l.mu.Unlock()
	if tell != nil {
		tell(upto)
	}
}

// Sidecar implements storage.Log.
func (l *Log) Sidecar() storage.Sidecar { return &l.side }
