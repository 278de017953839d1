package vfs

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

func (m *Mem) Open(path string, flag Flag) (File, error) {
	op := "open"
	if flag&Create != 0 {
		op = "create"
	}
	if err := checkFlag(flag); err != nil {
		return nil, pathError(op, path, err)
	}
	if err := m.begin(op, path); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	dir, name, err := m.parent(path)
	if err != nil {
		return nil, pathError(op, path, err)
	}
	n := dir.entries[name]
	switch {
	case n == nil && flag&Create == 0:
		return nil, pathError(op, path, fs.ErrNotExist)
	case n != nil && flag&Exclusive != 0:
		return nil, pathError(op, path, fs.ErrExist)
	case n != nil && n.isDir:
		return nil, pathError(op, path, errIsDir)
	case n == nil:
		n = &memNode{modified: time.Now(), dirty: map[int]bool{}, linked: true}
		m.apply(&entryOp{to: entry{dir, name}, node: n})
	case flag&Truncate != 0:
		m.truncate(n, 0)
	}
	n.opens++
	return &memFile{fs: m, node: n, path: path, flag: flag}, nil
}

func (m *Mem) Remove(path string) error {
	if err := m.begin("remove", path); err != nil {
		return err
	}
	defer m.mu.Unlock()
	dir, name, err := m.parent(path)
	if err != nil {
		return pathError("remove", path, err)
	}
	n := dir.entries[name]
	if n == nil {
		return pathError("remove", path, fs.ErrNotExist)
	}
	if n.isDir && len(n.entries) > 0 {
		return pathError("remove", path, errNotEmpty)
	}
	m.apply(&entryOp{from: entry{dir, name}, node: n})
	return nil
}

func (m *Mem) RemoveAll(path string) error {
	if err := m.begin("remove", path); err != nil {
		return err
	}
	defer m.mu.Unlock()
	dir, name, err := m.parent(path)
	if err != nil {
		return nil // as os.RemoveAll: what is not there is removed
	}
	if n := dir.entries[name]; n != nil {
		m.removeTree(dir, name, n)
	}
	return nil
}

func (m *Mem) removeTree(dir *memNode, name string, n *memNode) {
	for _, child := range slices.Sorted(maps.Keys(n.entries)) {
		m.removeTree(n, child, n.entries[child])
	}
	m.apply(&entryOp{from: entry{dir, name}, node: n})
}

func (m *Mem) Rename(oldpath, newpath string) error {
	if err := m.begin("rename", oldpath); err != nil {
		return err
	}
	defer m.mu.Unlock()
	from, oldname, err := m.parent(oldpath)
	if err != nil {
		return pathError("rename", oldpath, err)
	}
	to, newname, err := m.parent(newpath)
	if err != nil {
		return pathError("rename", newpath, err)
	}
	n, old := from.entries[oldname], to.entries[newname]
	switch {
	case n == nil:
		return pathError("rename", oldpath, fs.ErrNotExist)
	case n == old:
		return nil
	case old != nil && (old.isDir || n.isDir): // the systems differ about an empty directory; none of ours is replaced
		return pathError("rename", newpath, fs.ErrExist)
	case n.isDir && n.holds(to):
		return pathError("rename", newpath, fs.ErrInvalid)
	}
	m.apply(&entryOp{from: entry{from, oldname}, to: entry{to, newname}, node: n})
	return nil
}

// holds reports whether other is n or lies below it.
func (n *memNode) holds(other *memNode) bool {
	if n == other {
		return true
	}
	for _, child := range n.entries {
		if child.holds(other) {
			return true
		}
	}
	return false
}

func (m *Mem) MkdirAll(path string) error {
	if err := m.begin("mkdir", path); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n := m.root
	for _, name := range split(path) {
		child := n.entries[name]
		if child == nil {
			child = newDir()
			child.linked = true
			m.apply(&entryOp{to: entry{n, name}, node: child})
		}
		if !child.isDir {
			return pathError("mkdir", path, errNotDir)
		}
		n = child
	}
	return nil
}

func (m *Mem) List(dir string) ([]string, error) {
	if err := m.begin("list", dir); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && !n.isDir {
		err = errNotDir
	}
	if err != nil {
		return nil, pathError("list", dir, err)
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

func (m *Mem) Stat(path string) (Info, error) {
	if err := m.begin("stat", path); err != nil {
		return Info{}, err
	}
	defer m.mu.Unlock()
	n, err := m.find(path)
	if err != nil {
		return Info{}, pathError("stat", path, err)
	}
	return Info{Size: n.size, ModTime: n.modified, IsDir: n.isDir}, nil
}

func (m *Mem) SyncDir(dir string) error {
	if err := m.beginSync("syncdir", dir); err != nil {
		return err
	}
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && !n.isDir {
		err = errNotDir
	}
	if err != nil {
		return pathError("syncdir", dir, err)
	}
	m.counts.SyncDirs++
	m.syncEntries(n)
	return nil
}

// Free answers a total of 1 TiB when there is no limit.
func (m *Mem) Free(path string) (free, total uint64, err error) {
	if err := m.begin("statfs", path); err != nil {
		return 0, 0, err
	}
	defer m.mu.Unlock()
	if _, err := m.find(path); err != nil {
		return 0, 0, pathError("statfs", path, err)
	}
	capacity := m.capacity
	if capacity == 0 {
		capacity = 1 << 40
	}
	return uint64(max(0, capacity-m.used)), uint64(capacity), nil
}

func (m *Mem) Lock(path string) (io.Closer, error) {
	f, err := m.Open(path, Write|Create)
	if err != nil {
		return nil, err
	}
	f.Close()
	if err := m.begin("lock", path); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	key := strings.Join(split(path), "/")
	if m.locked[key] {
		return nil, pathError("lock", path, ErrLocked)
	}
	m.locked[key] = true
	return &memLock{fs: m, key: key}, nil
}

type memLock struct {
	fs   *Mem
	key  string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		delete(l.fs.locked, l.key)
		l.fs.mu.Unlock()
	})
	return nil
}
