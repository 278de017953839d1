package vfs

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Mem is a file system in memory that knows what a disk would still hold after a power loss; see Crash. Relative paths begin at
// its root. The zero value is not usable.
type Mem struct {
	// mu guards the whole tree and every field below. Hooks run without it.
	mu       sync.Mutex
	root     *memNode
	pending  []*entryOp // changes of directories that SyncDir has not made durable, oldest first
	locked   map[string]bool
	capacity int64 // bytes; 0: no limit
	used     int64 // bytes in blocks of files that are linked or open
	counts   Counts

	onSync func(path string)
	fail   func(op, path string) error
}

// Counts tells what a Mem has done since it was made.
type Counts struct {
	Reads, Writes, Syncs, SyncDirs int64
	BytesRead, BytesWritten        int64
}

// memNode is a directory or a file. Blocks are never changed while blocks[i] == durable[i] or in another Mem's hands: a write copies
// them first, so that syncing and cloning cost nothing per byte.
type memNode struct {
	isDir    bool
	modified time.Time

	entries map[string]*memNode // directory: what processes see
	durable struct {
		entries map[string]*memNode // directory: what a power loss leaves for certain
		blocks  []*memBlock         // file: content as of the last Sync
		size    int64
	}

	blocks  []*memBlock // file: nil is a hole; may reach beyond size (Allocate)
	size    int64
	minSize int64        // the smallest size since the last Sync
	dirty   map[int]bool // blocks written since the last Sync; false: a failed Sync dropped them from the cache's list, none will write them
	opens   int
	linked  bool
}

type memBlock [BlockSize]byte

// zeroBlock is what Allocate reserves. It is never written to.
var zeroBlock memBlock

// NewMem returns an empty file system.
func NewMem() *Mem {
	root := newDir()
	root.linked = true
	return &Mem{root: root, locked: map[string]bool{}}
}

func newDir() *memNode {
	n := &memNode{isDir: true, entries: map[string]*memNode{}, modified: time.Now()}
	n.durable.entries = map[string]*memNode{}
	return n
}

// OnSync sets a function that each Sync and SyncDir calls before it takes effect: the place to take a Crash.
func (m *Mem) OnSync(fn func(path string)) { m.mu.Lock(); m.onSync = fn; m.mu.Unlock() }

// Fail sets a function that is asked before each operation; its error is the operation's result and nothing else happens. Operations:
// open, create, read, write, sync, truncate, allocate, size, remove, rename, mkdir, list, stat, syncdir, statfs, lock.
//
// After a failed sync of a file the blocks it should have written are never written by a later one, as with Linux's page cache, until
// somebody writes them again.
func (m *Mem) Fail(fn func(op, path string) error) { m.mu.Lock(); m.fail = fn; m.mu.Unlock() }

// SetCapacity limits the bytes of all files, in whole blocks; 0 lifts the limit. What is over it already stays.
func (m *Mem) SetCapacity(bytes int64) { m.mu.Lock(); m.capacity = bytes; m.mu.Unlock() }

// Counts returns the counters.
func (m *Mem) Counts() Counts { m.mu.Lock(); defer m.mu.Unlock(); return m.counts }

// begin asks the fault hook and takes mu. The caller unlocks unless there is an error.
func (m *Mem) begin(op, path string) error {
	m.mu.Lock()
	if fail := m.fail; fail != nil {
		m.mu.Unlock()
		if err := fail(op, path); err != nil {
			return pathError(op, path, err)
		}
		m.mu.Lock()
	}
	return nil
}

// beginSync runs the hook for crashes, then begin.
func (m *Mem) beginSync(op, path string) error {
	m.mu.Lock()
	hook := m.onSync
	m.mu.Unlock()
	if hook != nil {
		hook(path)
	}
	return m.begin(op, path)
}

func split(path string) []string {
	p := strings.Trim(filepath.ToSlash(filepath.Clean(path)), "/")
	if p == "" || p == "." {
		return nil
	}
	return strings.Split(p, "/")
}

// find returns the node at path.
func (m *Mem) find(path string) (*memNode, error) {
	n := m.root
	for _, name := range split(path) {
		if !n.isDir {
			return nil, errNotDir
		}
		if n = n.entries[name]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// parent returns the directory that holds path's last name.
func (m *Mem) parent(path string) (dir *memNode, name string, err error) {
	names := split(path)
	if len(names) == 0 {
		return nil, "", fs.ErrInvalid
	}
	last := len(names) - 1
	dir, err = m.find(strings.Join(names[:last], "/"))
	if err == nil && !dir.isDir {
		err = errNotDir
	}
	return dir, names[last], err
}

var (
	errNotDir   = fmt.Errorf("%w: not a directory", fs.ErrInvalid)
	errIsDir    = fmt.Errorf("%w: is a directory", fs.ErrInvalid)
	errNotEmpty = fmt.Errorf("%w: directory not empty", fs.ErrExist)
)
