package seglog

import (
	"errors"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// committer makes appends durable in rounds. A round takes every log that has something new: those with much go to a worker that writes
// their segment, all others into one frame of the journal, with one fsync for all of them (SEG-6). While a round writes, the appends of
// the next one gather.
type committer struct {
	d    *dir
	wake chan struct{} // buffered by one

	writing sync.Mutex // held by a round; taken before Log.mu

	mu    sync.Mutex // leaf; guards queue, voids and later
	queue []*Log     // each at most once (Log.queued)
	voids []void
	later []void // for which there was no room: no more than there are removals under way

	frame   frame // of the round, kept for its memory
	targets []target
}

// void asks for an entry that makes everything earlier of a log in the journal void.
type void struct {
	id   storage.ID
	done chan error // buffered
}

// forget writes such an entry and waits until it is durable, also for room: the name may come back as soon as it returns.
func (c *committer) forget(id storage.ID) error {
	v := void{id, make(chan error, 1)}
	c.mu.Lock()
	c.voids = append(c.voids, v)
	c.mu.Unlock()
	c.poke()
	select {
	case err := <-v.done:
		return err
	case <-c.d.stopped:
		return storage.ErrClosed
	}
}

// resume tries again what there was no room for.
func (c *committer) resume() {
	c.mu.Lock()
	c.voids, c.later = append(c.voids, c.later...), nil
	c.mu.Unlock()
	c.poke()
}

func (c *committer) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// target is what a round does for one log.
type target struct {
	log      *Log
	appended int64        // committed up to here when the round is done
	end      kafka.Offset // durable up to here
	records  int64
	cuts     int
	sync     bool
}

func (c *committer) enqueue(l *Log) {
	c.mu.Lock()
	c.queue = append(c.queue, l)
	first := len(c.queue) == 1
	c.mu.Unlock()
	if first {
		c.poke()
	}
}

// run is the committer's goroutine. It ends when stop is closed and the queue is empty.
func (c *committer) run(stop <-chan struct{}) {
	var queue []*Log
	for {
		c.mu.Lock()
		queue, c.queue = c.queue, queue[:0]
		voids := c.voids
		c.voids = nil
		c.mu.Unlock()
		if len(queue)+len(voids) == 0 {
			select {
			case <-c.wake:
				continue
			case <-stop:
				return
			}
		}
		c.round(queue, voids)
		clear(queue)
	}
}

// maxFrameBytes bounds one write to the journal, so that a round stays short.
const maxFrameBytes = 4 << 20

// settle returns when no round is under way that had begun before. Not to be called with flushMu held: a round may wait for a flush.
func (c *committer) settle() {
	c.writing.Lock()
	//lint:ignore SA2001 the point is to have waited
	c.writing.Unlock()
}

func (c *committer) round(queue []*Log, voids []void) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.frame.reset()
	c.targets = c.targets[:0]
	sync := len(voids) > 0
	for _, v := range voids {
		c.frame.head(entryForget, v.id, 0, 0, 0)
	}
	for _, l := range queue {
		if c.frame.len() >= maxFrameBytes {
			c.enqueue(l) // stays queued
			continue
		}
		l.mu.Lock()
		l.queued = false
		pending := l.appended - l.committed
		if pending == 0 || l.direct || l.failed != nil || l.removed {
			l.mu.Unlock()
			continue
		}
		if pending >= int64(c.d.e.opts.DirectBytes) {
			if l.flushing {
				l.mu.Unlock()
				continue // the worker puts it back when it is done
			}
			l.direct, l.flushing = true, true
			l.mu.Unlock()
			c.d.work <- l
			continue
		}
		t := target{log: l, appended: l.appended, end: l.end, records: l.records, cuts: l.cuts, sync: l.wantsSyncLocked()}
		c.frame.add(l, pending)
		c.targets = append(c.targets, t)
		sync = sync || t.sync
		l.mu.Unlock()
	}
	if len(c.targets)+len(voids) == 0 {
		return
	}
	jf, err := c.d.journal.write(&c.frame, sync)
	if errors.Is(err, vfs.ErrNoSpace) {
		// Nothing of the round counts. The janitor has the logs enqueued when there is room.
		c.mu.Lock()
		c.later = append(c.later, voids...)
		c.mu.Unlock()
		clear(c.targets)
		c.d.noSpace(err)
		return
	}
	for _, v := range voids {
		v.done <- err
	}
	if err != nil {
		c.d.fail(err)
		return
	}
	for i := range c.targets {
		t := &c.targets[i]
		l := t.log
		l.mu.Lock()
		l.committed = max(l.committed, t.appended)
		if t.cuts == l.cuts {
			l.committedEnd = max(l.committedEnd, t.end)
		}
		if t.sync {
			l.records -= t.records
		}
		l.unsynced = l.unsynced || !t.sync
		l.noteLooseLocked()
		c.d.journal.pin(l, jf)
		again := l.appended > l.committed && !l.queued && !l.direct
		l.queued = l.queued || again
		l.mu.Unlock()
		if again {
			c.enqueue(l)
		}
		l.setDurable(t.end, t.cuts)
		t.log = nil
	}
}

// wantsSyncLocked: Fsync always; Cached when its counters say so (flush.messages; flush.ms is the janitor's).
func (l *Log) wantsSyncLocked() bool {
	if l.cfg.Durability == storage.Fsync {
		return true
	}
	return l.syncNow || l.cfg.FlushMessages > 0 && l.records >= l.cfg.FlushMessages
}

// noteLooseLocked has the janitor watch a log that is to be synced by interval (flush.ms).
func (l *Log) noteLooseLocked() {
	if l.cfg.FlushInterval > 0 && l.unsynced && l.cfg.Durability == storage.Cached {
		l.d.looseMu.Lock()
		l.d.loose[l] = struct{}{}
		l.d.looseMu.Unlock()
	}
}

// syncIfDue makes durable on disk what a Cached log has written, if its flush.ms has passed.
func (l *Log) syncIfDue(now time.Time) {
	l.mu.Lock()
	if !l.unsynced || l.cfg.FlushInterval <= 0 {
		l.d.looseMu.Lock()
		delete(l.d.loose, l)
		l.d.looseMu.Unlock()
		l.mu.Unlock()
		return
	}
	due := now.Sub(l.syncedAt) >= l.cfg.FlushInterval
	if due {
		l.syncNow, l.syncedAt = true, now
	}
	l.mu.Unlock()
	if due {
		l.d.flushSoon(l)
	}
}
