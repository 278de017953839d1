package textsrv

import (
	"context"
	"sync"

	"github.com/rafka-io/rafka/internal/broker"
)

const (
	maxTasks        = 256      // answers a connection may be owed
	maxWaitingBytes = 64 << 10 // of lines that wait for a command before them
)

// task is a command on its way to its answer.
type task struct {
	answer     string            // already known, if not empty
	publishing broker.Publishing // already started, if isStarted
	isStarted  bool
	command    command // else to be carried out when its turn comes
	lineBytes  int

	ctx  context.Context // of a CONSUME … FOLLOW or a TAKE … WAIT
	stop context.CancelCauseFunc
}

// isWaiting says that the task is carried out by the goroutine that answers, so nothing behind it may be started before it is done.
func (t *task) isWaiting() bool { return t.answer == "" && !t.isStarted }

// backlog is what stands between the goroutine that reads and the one that answers: tasks in order, and what their number depends on.
type backlog struct {
	mu      sync.Mutex // guards what follows; held for memory work only
	changed sync.Cond
	tasks   []*task // queued; the one being answered is no longer among them
	owed    int     // queued and being answered
	waiting int     // of owed, those that isWaiting
	bytes   int     // lineBytes of those
	follows []*task // owed tasks that have a ctx, the oldest first
	closed  bool    // nothing comes any more
	dead    bool    // nothing is answered any more
}

func newBacklog() *backlog {
	b := &backlog{}
	b.changed.L = &b.mu
	return b
}

// push appends a task, waiting for room. The follows that keep the room taken are ended with errBehindFollow.
func (b *backlog) push(t *task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waitLocked(func() bool { return b.owed < maxTasks })
	b.tasks = append(b.tasks, t)
	b.owed++
	if t.isWaiting() {
		b.waiting++
		b.bytes += t.lineBytes
	}
	if t.stop != nil {
		b.follows = append(b.follows, t)
	}
	b.changed.Broadcast()
}

// canStart reports whether a command may be started now; if it may not and its line is too much to keep, canStart waits until it may.
func (b *backlog) canStart(lineBytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 && b.bytes+lineBytes > maxWaitingBytes {
		b.waitLocked(func() bool { return b.waiting == 0 })
	}
	return b.waiting == 0
}

func (b *backlog) waitLocked(ready func() bool) {
	for !ready() && !b.dead {
		for _, f := range b.follows {
			f.stop(errBehindFollow)
		}
		b.changed.Wait()
	}
}

// pop takes the next task, waiting for one; false: there will be none.
func (b *backlog) pop() (*task, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.tasks) == 0 && !b.closed {
		b.changed.Wait()
	}
	if len(b.tasks) == 0 {
		return nil, false
	}
	t := b.tasks[0]
	b.tasks[0] = nil
	if b.tasks = b.tasks[1:]; len(b.tasks) == 0 {
		b.tasks = nil
	}
	return t, true
}

// done says that a task was answered, and whether it was the last one owed.
func (b *backlog) done(t *task) (last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owed--
	if t.isWaiting() {
		b.waiting--
		b.bytes -= t.lineBytes
	}
	if t.stop != nil {
		t.stop(nil)
		b.follows = b.follows[1:] // tasks are done in order
	}
	b.changed.Broadcast()
	return b.owed == 0
}

// stopFollow ends the oldest follow.
func (b *backlog) stopFollow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.follows {
		if f.ctx.Err() == nil {
			f.stop(errStopped)
			return
		}
	}
}

// isIdle reports whether nothing is owed.
func (b *backlog) isIdle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owed == 0
}

// close says that nothing will be pushed any more; kill that nothing will be answered any more.
func (b *backlog) close() { b.end(&b.closed) }
func (b *backlog) kill()  { b.end(&b.dead) }

func (b *backlog) end(how *bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*how = true
	b.changed.Broadcast()
}
