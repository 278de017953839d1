package seglog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// space is what a directory knows of the room it has. While it is full appends are refused, those too that wait for memory: none is freed while tails
// cannot be written. What was appended before stays in memory, is announced to nobody, and is written when there is room again.
type space struct {
	full    atomic.Bool
	allowed atomic.Int64 // bytes that may be appended before the free space is looked at again

	mu     sync.Mutex         // leaf; guards what follows
	memory context.Context    // ends when the directory is full
	stop   context.CancelFunc // ends memory
	pause  time.Duration      // how long a write that found no room is not believed to find some, whatever the file system says
	until  time.Time          // the end of that
	since  time.Time          // when there was room again last
}

// A quota may be used up where the file system has room. So after a write that found none the next one is tried after leastPause, and after up to
// mostPause if that one finds none soon.
const (
	leastPause = time.Second
	mostPause  = 30 * time.Second
)

// scarceBytes is the least room, beside that of the checkpoint file, in which a change is begun that must not be left half done.
const scarceBytes = 1 << 20

// asFull has an error that says that there is no space be storage.ErrFull as well.
func asFull(err error) error {
	if err == nil || !errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, storage.ErrFull) {
		return err
	}
	return fmt.Errorf("%w: %w", storage.ErrFull, err)
}

func (d *dir) isFull() bool { return d.space.full.Load() }

// noSpace is told of a write that found no room.
func (d *dir) noSpace(why error) {
	defer d.setFull(why)
	if free, total, err := d.e.fs.Free(d.path); err == nil && free < d.reserve(total) {
		return // as the file system says, which will say when there is some
	}
	s, now := &d.space, d.e.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.until) {
		return
	}
	if s.pause *= 2; s.pause < leastPause || now.Sub(s.since) > mostPause {
		s.pause = leastPause
	}
	s.pause = min(s.pause, mostPause)
	s.until = now.Add(s.pause)
}

// reserve is how much is to be left free of a file system of total bytes; 0: that is not known.
func (d *dir) reserve(total uint64) uint64 { return min(d.e.opts.ReserveBytes, total/20) }

func (d *dir) setFull(why error) {
	s := &d.space
	s.mu.Lock()
	was := s.full.Swap(true)
	s.stop()
	s.mu.Unlock()
	if !was {
		d.e.opts.Logger.Error("data directory is full: appends are refused until there is room", "dir", d.path, "err", why)
	}
}

// hasRoom ends the state of being full, unless a write found no room a moment ago. It reports whether it has.
func (d *dir) hasRoom() bool {
	s, now := &d.space, d.e.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full.Load() || now.Before(s.until) {
		return false
	}
	s.since = now
	s.memory, s.stop = context.WithCancel(d.e.ctx)
	s.full.Store(false)
	return true
}

// freed is told that files were deleted: there may be room again.
func (d *dir) freed() {
	if !d.isFull() {
		return
	}
	d.space.mu.Lock()
	d.space.until = time.Time{}
	d.space.mu.Unlock()
	d.checkSpace()
}

// forMemory ends when there is no use in waiting for memory.
func (d *dir) forMemory() context.Context {
	d.space.mu.Lock()
	defer d.space.mu.Unlock()
	return d.space.memory
}

// refuses is why the directory takes no append of n bytes now, or nil. What is appended fast would run through the reserve between two ticks
// of the janitor, and then there is no room for the small files by which records, logs and topics are deleted; so the free space is looked at
// each time half of what was left has been appended.
func (d *dir) refuses(n int) error {
	if d.space.allowed.Add(-int64(n)) < 0 && !d.isFull() {
		d.checkSpace()
	}
	if d.isFull() {
		return d.refusal()
	}
	return nil
}

func (d *dir) refusal() error { return fmt.Errorf("%s: %w", d.path, storage.ErrFull) }

// scarce is why nothing is begun now that must not be left half done, or nil.
func (d *dir) scarce() error {
	free, total, err := d.e.fs.Free(d.path)
	if err != nil || total == 0 {
		return nil
	}
	d.e.mu.Lock()
	need := scarceBytes + 512*uint64(len(d.e.logs)+len(d.known))
	d.e.mu.Unlock()
	if free < need {
		return d.refusal()
	}
	return nil
}

// checkSpace notes when the file system runs full, and when there is room again: then it brings back the logs whose writes had failed.
func (d *dir) checkSpace() {
	free, total, err := d.e.fs.Free(d.path)
	allowed := int64(math.MaxInt64)
	if err == nil && total > 0 {
		reserve := d.reserve(total)
		allowed = (int64(free) - int64(reserve)) / 2
		if free < reserve {
			d.space.allowed.Store(allowed)
			d.setFull(fmt.Errorf("%d bytes free of %d", free, total))
			return
		}
		if free < reserve+reserve/4 {
			d.space.allowed.Store(allowed)
			return
		}
	}
	d.space.allowed.Store(allowed)
	if !d.hasRoom() {
		return
	}
	d.e.opts.Logger.Info("data directory has room again", "dir", d.path, "free", free)
	for _, l := range d.e.logsOf(d) {
		l.mu.Lock()
		again := l.appended > l.committed && !l.queued && !l.direct && l.failed == nil && !l.removed
		l.queued = l.queued || again
		l.mu.Unlock()
		if again {
			d.commit.enqueue(l)
		}
	}
	d.commit.resume()
	d.kick()
}
