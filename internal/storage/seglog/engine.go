package seglog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Engine keeps logs in one or more data directories.
type Engine struct {
	fs      vfs.FS
	opts    Options
	dirs    []*dir
	pool    *pool
	hot     hot
	reading atomic.Int64 // bytes of the pool that readers of old data hold
	files   *fileCache

	indexMu sync.Mutex  // leaf; guards indexes
	indexes []keptIndex // in memory, oldest first

	ctx    context.Context // ends, with the cause, when Close begins to give up waiting appends
	cancel context.CancelCauseFunc

	mu     sync.Mutex // guards logs and closed; held for memory work only
	logs   map[storage.ID]*Log
	named  map[kafka.TopicPartition]*Log // the one that has the directory of that name
	closed bool
}

var _ storage.Engine = (*Engine)(nil)

// Open opens the data directories, making them if need be: it takes their locks, reads the checkpoints and puts back what only the journal
// has. The time it takes depends on the journal (Options.JournalBytes at most), not on the data.
func Open(fsys vfs.FS, dirs []string, opts Options) (*Engine, error) {
	if len(dirs) == 0 {
		return nil, errors.New("no data directory given")
	}
	e := &Engine{fs: fsys, opts: opts.withDefaults(), logs: map[storage.ID]*Log{}, named: map[kafka.TopicPartition]*Log{}}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	e.pool = newPool(e.opts.HotBytes, e.opts.HotLeast)
	e.pool.evict, e.pool.drop = e.makeRoom, e.hot.evict
	flag := vfs.Write | vfs.Direct
	if e.opts.Buffered {
		flag = vfs.Write
	}
	e.files = newFileCache(fsys, flag, e.opts.OpenFiles)
	for _, path := range dirs {
		d, err := openDir(e, path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("data directory %s: %w", path, err), e.Close())
		}
		e.dirs = append(e.dirs, d)
	}
	return e, nil
}

// makeRoom frees a cached block; if there is none, it asks for tails to be written so that there soon is.
func (e *Engine) makeRoom() bool {
	if e.hot.evict() {
		return true
	}
	for _, d := range e.dirs {
		d.kick()
	}
	return false
}

// Open implements storage.Engine.
func (e *Engine) Open(id storage.ID, cfg storage.Config) (storage.Log, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, storage.ErrClosed
	}
	if l := e.logs[id]; l != nil && !l.gone() {
		e.mu.Unlock()
		l.Configure(cfg)
		return l, nil
	}
	l := newLog(e, e.place(id), id, cfg)
	other := e.enterLocked(l)
	e.mu.Unlock()
	if other == nil {
		return l, nil
	}
	other.abandon()
	// What the journal has of the other one must not come back: it would take this one's directory for that of a topic before it.
	if err := other.d.commit.forget(other.id); err != nil {
		return nil, fmt.Errorf("open %s: forget %s of the same name: %w", id, other.id.TopicID, err)
	}
	return l, nil
}

// enterLocked makes l the log of its id and of its name. It returns the one that had the name before, for the caller to abandon without
// Engine.mu and before l is used; nil: none had it.
func (e *Engine) enterLocked(l *Log) (other *Log) {
	if c, ok := l.d.known[l.id]; ok {
		l.checkpoint = c
	}
	if o := e.named[l.id.TopicPartition]; o != nil && o.id != l.id && e.logs[o.id] == o {
		delete(e.logs, o.id)
		other = o
	}
	e.logs[l.id] = l
	e.named[l.id.TopicPartition] = l
	return other
}

// log returns the log for an entry of d's journal.
func (e *Engine) log(d *dir, id storage.ID) *Log {
	e.mu.Lock()
	if l := e.logs[id]; l != nil {
		e.mu.Unlock()
		return l
	}
	l := newLog(e, d, id, storage.Config{})
	other := e.enterLocked(l)
	e.mu.Unlock()
	other.abandon()
	return l
}

// place is the directory that has the partition already, else the one with the fewest.
func (e *Engine) place(id storage.ID) *dir {
	name := id.String()
	best := e.dirs[0]
	for _, d := range e.dirs {
		if d.names[name] {
			return d
		}
		if d.failure() == nil && (best.failure() != nil || len(d.names) < len(best.names)) {
			best = d
		}
	}
	best.names[name] = true
	return best
}

// Remove implements storage.Engine.
func (e *Engine) Remove(id storage.ID) error {
	e.mu.Lock()
	l := e.logs[id]
	if l == nil { // one that is open knows its own checkpoint better
		l = newLog(e, e.place(id), id, storage.Config{})
		if c, ok := l.d.known[id]; ok {
			l.checkpoint = c
		}
	}
	delete(e.logs, id)
	delete(l.d.known, id)
	delete(l.d.names, id.String())
	e.mu.Unlock()
	return l.remove()
}

// List implements storage.Engine.
func (e *Engine) List() ([]storage.ID, error) {
	seen := map[storage.ID]bool{}
	var ids []storage.ID
	add := func(id storage.ID) {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	e.mu.Lock()
	for id, l := range e.logs {
		if l.side.made.Load() || l.hasData() {
			add(id)
		}
	}
	e.mu.Unlock()
	for _, d := range e.dirs {
		found, err := d.list()
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			add(id)
		}
	}
	return ids, nil
}

// Dirs implements storage.Engine.
func (e *Engine) Dirs() []storage.DirInfo {
	infos := make([]storage.DirInfo, 0, len(e.dirs))
	for _, d := range e.dirs {
		i := storage.DirInfo{Path: d.path, Failed: d.failure(), Full: d.isFull()}
		i.Free, i.Total, _ = e.fs.Free(d.path)
		infos = append(infos, i)
	}
	return infos
}

// DirOf is the index in Dirs of the directory that has a log, for DescribeLogDirs.
func (e *Engine) DirOf(id storage.ID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	l, name := e.logs[id], id.String()
	for i, d := range e.dirs {
		if l != nil && l.d == d || l == nil && d.names[name] {
			return i
		}
	}
	return 0
}

// Close implements storage.Engine: everything goes into its segments, then the clean-stop marker is left.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	var errs []error
	for _, d := range e.dirs {
		errs = append(errs, d.close())
	}
	e.cancel(storage.ErrClosed)
	e.files.closeIdle(0)
	for e.hot.evict() {
	}
	e.pool.close()
	return errors.Join(errs...)
}

// logsOf lists the logs of a directory.
func (e *Engine) logsOf(d *dir) []*Log {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*Log
	for _, l := range e.logs {
		if l.d == d {
			all = append(all, l)
		}
	}
	return all
}

func (l *Log) gone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || l.removed || l.failed != nil
}

func (l *Log) hasData() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appended > 0
}
