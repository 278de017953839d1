package quorum

import (
	"context"
	"fmt"

	"github.com/rafka-io/rafka/internal/metadata"
)

// commit is one Commit on its way to the disk. done and err are written under Local.writing.
type commit struct {
	batch   Batch
	encoded []byte
	image   *metadata.Image // with this batch folded in
	done    bool
	err     error
}

// Commit implements Store. Commits from several goroutines share one fsync: each checks its records against the image with all
// earlier ones folded in and queues them; whoever gets the lock of the file writes everything that is queued.
func (l *Local) Commit(ctx context.Context, term Term, guards []Guard, records []metadata.Record) (Revision, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c, head, err := l.enqueue(term, guards, records)
	if err != nil {
		return 0, err
	}
	if c == nil {
		return head, nil
	}
	l.writing.Lock()
	if !c.done {
		l.flush()
	}
	err = c.err
	l.writing.Unlock()
	if err != nil {
		return 0, err
	}
	if err := l.awaitFollowers(ctx, c.batch.Revision); err != nil {
		return 0, err
	}
	return c.batch.Revision, nil
}

func (l *Local) enqueue(term Term, guards []Guard, records []metadata.Record) (*commit, Revision, error) {
	var encoded []byte
	if len(records) > 0 {
		encoded = metadata.AppendRecords(nil, records)
	}
	if len(encoded) > MaxBatchBytes {
		return nil, 0, fmt.Errorf("%d bytes, at most %d: %w", len(encoded), MaxBatchBytes, ErrTooLarge)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended != nil:
		return nil, 0, l.ended
	case l.failed != nil:
		return nil, 0, l.failed
	case term != localTerm:
		return nil, 0, fmt.Errorf("term %d, it is %d: %w", term, localTerm, ErrStaleTerm)
	}
	for _, g := range guards {
		if g.Head != l.aheadHead {
			return nil, 0, fmt.Errorf("decided at revision %d, it is %d: %w", g.Head, l.aheadHead, ErrGuard)
		}
	}
	if len(records) == 0 {
		return nil, l.head, nil
	}
	next, _, err := metadata.Fold(l.ahead, records)
	if err != nil {
		return nil, 0, err
	}
	l.ahead = next
	l.aheadHead++
	c := &commit{batch: Batch{Revision: l.aheadHead, Records: records}, encoded: encoded, image: next}
	l.waiting = append(l.waiting, c)
	return c, 0, nil
}

// flush writes everything that waits. The caller holds writing.
func (l *Local) flush() {
	l.mu.Lock()
	group := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for len(group) > 0 {
		n, bytes := 0, 0
		for n < len(group) && (n == 0 || bytes+len(group[n].encoded) <= MaxBatchBytes) {
			bytes += len(group[n].encoded)
			n++
		}
		if err := l.write(group[:n]); err != nil {
			l.fail(group, err)
			return
		}
		l.publish(group[:n])
		group = group[n:]
	}
	l.compact()
}

func (l *Local) write(group []*commit) error {
	if l.log == nil {
		return nil
	}
	encoded := make([][]byte, len(group))
	for i, c := range group {
		encoded[i] = c.encoded
	}
	return l.log.append(group[0].batch.Revision, encoded)
}

// publish makes durable commits visible to Load and Follow.
func (l *Local) publish(group []*commit) {
	l.mu.Lock()
	for _, c := range group {
		c.done = true
		l.addLocked(c.batch, len(c.encoded), c.image)
	}
	l.trimLocked()
	l.notifyLocked()
	l.mu.Unlock()
}

// fail answers the commits that were not written and all that were queued behind them, because they were checked against images
// that will never be.
func (l *Local) fail(group []*commit, err error) {
	l.mu.Lock()
	group = append(group, l.waiting...)
	l.waiting = nil
	l.ahead, l.aheadHead = l.image, l.head
	for _, c := range group {
		c.done, c.err = true, err
	}
	if l.log.failed != nil {
		l.failed = l.log.failed
		l.nobodyLocked()
		l.notifyLocked()
	}
	failed := l.failed
	l.mu.Unlock()
	if failed != nil {
		l.tellWatchers()
	}
}

// compact puts a snapshot in place of the log once the frames behind the present snapshot have outgrown it and the limit. The caller
// holds writing. An error that leaves the log usable is no failure of any commit; the next commit tries again.
func (l *Local) compact() {
	if l.log == nil || l.log.failed != nil || l.log.file == nil {
		return
	}
	if grown := l.log.end - l.log.base; grown < l.opts.CompactBytes || grown < l.log.base {
		return
	}
	l.mu.Lock()
	img, head := l.image, l.head
	l.mu.Unlock()
	if err := l.log.compact(metadata.SnapshotOf(img), head); err != nil && l.log.failed != nil {
		l.fail(nil, err)
	}
}
