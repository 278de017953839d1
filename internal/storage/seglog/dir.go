package seglog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// dir is one data directory: partitions' directories beside .rafka, which holds the journal, the checkpoint file, the lock and, after a clean
// stop, the marker.
type dir struct {
	e    *Engine
	path string
	own  string // .rafka
	lock io.Closer

	clean    bool                      // the last stop was clean: the checkpoints are exact
	known    map[storage.ID]checkpoint // from the checkpoint file; guarded by Engine.mu
	names    map[string]bool           // partitions' directories; guarded by Engine.mu
	loose    map[*Log]struct{}         // Cached logs with a flush interval and something to sync; guarded by looseMu
	looseMu  sync.Mutex                // taken after Log.mu
	replayed atomic.Bool               // the journal was read
	marked   atomic.Bool               // some checkpoint is newer than the file
	removed  atomic.Bool               // there are directories to delete
	space    space
	failed   atomic.Pointer[error]
	journal  *journal
	commit   committer
	work     chan *Log // logs for the workers; the sender has set flushing
	kicked   chan struct{}
	saving   sync.Mutex // one writer of the checkpoint file at a time

	discards atomic.Int64  // numbers directories on their way to deletion
	stop     chan struct{} // ends the janitor
	stopped  chan struct{} // ends the committer
	others   sync.WaitGroup
	workers  sync.WaitGroup
}

const (
	ownName      = ".rafka"
	deleteSuffix = "-delete"
	cleanName    = "clean"
	pointsName   = "checkpoint"
)

// logsAtOnce is how many logs are taken up, or flushed, at once when the journal is put back.
const logsAtOnce = 32

func openDir(e *Engine, path string) (_ *dir, err error) {
	d := &dir{
		e: e, path: path, own: filepath.Join(path, ownName), known: map[storage.ID]checkpoint{}, names: map[string]bool{}, loose: map[*Log]struct{}{},
		work: make(chan *Log, 1024), kicked: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	d.commit = committer{d: d, wake: make(chan struct{}, 1)}
	d.space.memory, d.space.stop = context.WithCancel(e.ctx)
	if err := e.fs.MkdirAll(d.own); err != nil {
		return nil, err
	}
	if err := errors.Join(e.fs.SyncDir(filepath.Dir(path)), e.fs.SyncDir(path)); err != nil {
		return nil, err
	}
	if d.lock, err = e.fs.Lock(filepath.Join(d.own, "lock")); err != nil {
		return nil, fmt.Errorf("another process is using it: %w", err)
	}
	defer func() {
		if err != nil {
			d.lock.Close()
		}
	}()
	entries, err := e.fs.List(path)
	if err != nil {
		return nil, err
	}
	for _, n := range entries {
		if strings.HasSuffix(n, deleteSuffix) {
			continue // the janitor's
		}
		d.names[n] = true
	}
	if err := d.readCheckpoints(); err != nil {
		return nil, err
	}
	d.removed.Store(true)
	if err := d.openJournal(); err != nil {
		return nil, err
	}
	d.replayed.Store(true)
	for _, l := range e.logsOf(d) {
		l.settle()
	}
	d.others.Go(func() { d.commit.run(d.stopped) })
	d.others.Go(func() { d.keepJournal(d.stopped) })
	d.others.Go(d.janitor)
	for range e.opts.Workers {
		d.workers.Add(1)
		go func() { defer d.workers.Done(); d.worker() }()
	}
	return d, nil
}

// readCheckpoints reads the checkpoint file and takes the clean-stop marker away (SEG-5).
func (d *dir) readCheckpoints() error {
	path := filepath.Join(d.own, pointsName)
	b, err := readFile(d.e.fs, path, 1<<30)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if known, ok := decodeCheckpoints(b); ok {
			d.known = known
		} else {
			d.e.opts.Logger.Warn("checkpoint file is damaged; logs are checked from their last segment's start", "file", path)
		}
	}
	marker := filepath.Join(d.own, cleanName)
	mark, err := readFile(d.e.fs, marker, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	d.clean = len(mark) == 4 && len(b) >= 8 && binary.LittleEndian.Uint32(mark) == binary.LittleEndian.Uint32(b[4:])
	if err := d.e.fs.Remove(marker); err != nil {
		return err
	}
	return d.e.fs.SyncDir(d.own)
}

func (d *dir) openJournal() error {
	size := d.e.opts.JournalBytes
	if free, _, err := d.e.fs.Free(d.path); err == nil && free > 0 {
		size = min(size, int64(free/8))
	}
	// Eight files, so that one is free long before the journal is full; each must hold the largest frame.
	fileSize := max(size/8, 2*maxFrameBytes)
	files := int(max(size/fileSize, 2))
	restored := int64(0)
	j := &journal{fs: d.e.fs, path: d.own, fileSize: fileSize, maxFiles: files, need: d.kick, turn: make(chan struct{}, 1)}
	j.seq.Store(uint64(d.e.opts.Now().UnixNano()))
	d.journal = j
	// The first pass finds what was made void, the second puts back the rest.
	type place struct {
		seq   uint64
		entry int
	}
	voids, last := map[storage.ID]place{}, map[storage.ID]place{}
	newest := map[kafka.TopicPartition]storage.ID{}
	find := func(_ *journalFile, seq uint64, entries []entry) error {
		for i := range entries {
			id := entries[i].id
			if entries[i].kind == entryForget {
				voids[id] = place{seq, i}
				continue
			}
			// Another topic of the name has come, so the one before it was removed, whether or not that stands here.
			if was, known := newest[id.TopicPartition]; known && was != id {
				voids[was] = place{seq, i}
			}
			newest[id.TopicPartition], last[id] = id, place{seq, i}
		}
		return nil
	}
	voided := func(id storage.ID, at place) bool {
		v, ok := voids[id]
		return ok && (at.seq < v.seq || at.seq == v.seq && at.entry <= v.entry)
	}
	loaded := false
	restore := func(file *journalFile, seq uint64, entries []entry) error {
		if !loaded {
			loaded = true
			maps.DeleteFunc(last, voided)
			var logs []*Log
			for id := range last {
				logs = append(logs, d.e.log(d, id))
			}
			_ = sideBySide(logs, (*Log).load) // what goes wrong is met again where the log is needed
		}
		for i := range entries {
			en := &entries[i]
			if voided(en.id, place{seq, i}) {
				continue
			}
			if err := d.e.log(d, en.id).restore(file, seq, en); err != nil {
				return err
			}
			if restored += int64(len(en.data)); restored > d.e.opts.HotBytes/2 {
				restored = 0
				if err := sideBySide(d.e.logsOf(d), (*Log).flush); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return j.open(find, restore)
}

// sideBySide does something about many logs that ends in a sync of each: a disk syncs many files in the time of a few.
func sideBySide(logs []*Log, do func(*Log) error) error {
	var workers sync.WaitGroup
	turns, errs := make(chan struct{}, logsAtOnce), make([]error, len(logs))
	for i, l := range logs {
		turns <- struct{}{}
		workers.Go(func() {
			errs[i] = do(l)
			<-turns
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// kick wakes the janitor: memory or journal space is short.
func (d *dir) kick() {
	select {
	case d.kicked <- struct{}{}:
	default:
	}
}

// failure is why the directory is offline, or nil.
func (d *dir) failure() error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail takes every log of the directory offline: its journal can no longer be trusted.
func (d *dir) fail(err error) {
	err = fmt.Errorf("data directory %s: %w: %w", d.path, storage.ErrOffline, err)
	if !d.failed.CompareAndSwap(nil, &err) {
		return
	}
	d.e.opts.Logger.Error("data directory taken offline", "dir", d.path, "err", err)
	d.journal.fail(err)
	for _, l := range d.e.logsOf(d) {
		l.fail(err)
	}
}

// janitor does what must be done in time: it flushes tails that keep journal files or memory, syncs by interval, watches the free space,
// writes the checkpoint file and deletes what was removed.
func (d *dir) janitor() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	d.deleteRemoved()
	for n := 1; ; n++ {
		select {
		case <-d.kicked:
			d.relieve()
			continue
		case <-tick.C:
		case <-d.stop:
			return
		}
		d.checkSpace()
		d.flushAged()
		if n%2 == 0 && d.marked.Swap(false) {
			if err := d.saveCheckpoints(false); err != nil && d.failure() == nil {
				d.e.opts.Logger.Warn("cannot write the checkpoint file; the next start after a crash takes longer", "dir", d.path, "err", err)
				d.marked.Store(true)
			}
		}
		if n%60 == 0 {
			d.e.pool.shrink(8)
		}
		d.deleteRemoved()
	}
}

// relieve flushes the logs that keep the oldest journal file, and where memory is short the others that have unwritten tails.
func (d *dir) relieve() {
	logs, crowded := d.journal.oldest()
	if !crowded && d.e.pool.usedBytes() < d.e.pool.budget*3/4 {
		return
	}
	for _, l := range logs {
		d.flushSoon(l)
	}
}

// flushAged flushes what has been in the journal alone for too long, and syncs Cached logs whose flush.ms has passed.
func (d *dir) flushAged() {
	now := d.e.opts.Now()
	for _, l := range d.journal.pinnedSince(now.Add(-d.e.opts.FlushAge).UnixNano()) {
		d.flushSoon(l)
	}
	d.looseMu.Lock()
	due := make([]*Log, 0, len(d.loose))
	for l := range d.loose {
		due = append(due, l)
	}
	d.looseMu.Unlock()
	for _, l := range due {
		l.syncIfDue(now)
	}
}

// saveCheckpoints writes the checkpoint file; last also leaves the clean-stop marker.
func (d *dir) saveCheckpoints(last bool) error {
	d.saving.Lock()
	defer d.saving.Unlock()
	b := make([]byte, 12, 12+len(d.known)*96)
	count := 0
	d.e.mu.Lock()
	for id, l := range d.e.logs {
		if l.d != d {
			continue
		}
		l.mu.Lock()
		c := l.checkpoint
		skip := l.removed || !c.valid
		l.mu.Unlock()
		if !skip {
			b = appendCheckpoint(b, id, &c)
			count++
		}
	}
	for id, c := range d.known {
		if _, open := d.e.logs[id]; !open {
			b = appendCheckpoint(b, id, &c)
			count++
		}
	}
	d.e.mu.Unlock()
	b = sealCheckpoints(b, count)
	if err := replaceFile(d.e.fs, filepath.Join(d.own, pointsName), b); err != nil {
		return err
	}
	if !last {
		return nil
	}
	return replaceFile(d.e.fs, filepath.Join(d.own, cleanName), b[4:8])
}

// discard renames a partition's directory so that its name is free, and leaves the rest to the janitor.
func (d *dir) discard(path string) error {
	n := d.discards.Add(1)
	to := path + "." + strconv.FormatInt(time.Now().UnixNano(), 36) + strconv.FormatInt(n, 10) + deleteSuffix
	if err := d.e.fs.Rename(path, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.removed.Store(true)
	return nil
}

func (d *dir) deleteRemoved() {
	if !d.removed.Swap(false) {
		return
	}
	names, err := d.e.fs.List(d.path)
	if err != nil {
		return
	}
	// The renames become durable first: a crash must not bring back a directory that is half deleted under its old name.
	if err := d.e.fs.SyncDir(d.path); err != nil {
		d.e.opts.Logger.Warn("cannot sync a data directory", "dir", d.path, "err", err)
		return
	}
	for _, n := range names {
		if strings.HasSuffix(n, deleteSuffix) {
			if err := d.e.fs.RemoveAll(filepath.Join(d.path, n)); err != nil {
				d.e.opts.Logger.Warn("cannot delete a removed partition's directory", "dir", n, "err", err)
			}
		}
	}
	d.freed()
}

// list names the partitions on disk.
func (d *dir) list() ([]storage.ID, error) {
	d.e.mu.Lock()
	names := slices.Collect(maps.Keys(d.names))
	d.e.mu.Unlock()
	var ids []storage.ID
	for _, n := range names {
		i := strings.LastIndexByte(n, '-')
		if i <= 0 {
			continue
		}
		p, err := strconv.ParseInt(n[i+1:], 10, 32)
		if err != nil || p < 0 {
			continue
		}
		id, err := readTopicID(d.e.fs, filepath.Join(d.path, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue // known by name only: opened, but nothing was written
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, storage.ID{TopicPartition: kafka.TopicPartition{Topic: n[:i], Partition: int32(p)}, TopicID: id})
	}
	return ids, nil
}

// finishAll finishes every log, several at a time: each costs some fsyncs, which the file system can do together.
func (d *dir) finishAll() []error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	turns := make(chan struct{}, 16)
	for _, l := range d.e.logsOf(d) {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := l.finish(); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errs
}

// close writes everything out and ends the goroutines.
func (d *dir) close() error {
	close(d.stop)
	errs := d.finishAll()
	close(d.stopped)
	d.journal.fail(storage.ErrClosed)
	d.others.Wait()
	close(d.work)
	d.workers.Wait()
	if len(errs) == 0 && d.failure() == nil {
		errs = append(errs, d.journal.reset())
		errs = append(errs, d.saveCheckpoints(true))
	}
	errs = append(errs, d.journal.close(), d.lock.Close())
	return errors.Join(errs...)
}
