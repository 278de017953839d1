package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"time"
)

// memFile is an open file of a Mem. Its fields beside failed never change; failed and closed are guarded by fs.mu.
type memFile struct {
	fs     *Mem
	node   *memNode
	path   string
	flag   Flag
	failed error // the Sync that failed (VFS-3)
	closed bool
}

// begin checks the state and the hook, and takes fs.mu unless there is an error.
func (f *memFile) begin(op string) error {
	if err := f.fs.begin(op, f.path); err != nil {
		return err
	}
	if f.closed {
		f.fs.mu.Unlock()
		return pathError(op, f.path, fs.ErrClosed)
	}
	return nil
}

func (f *memFile) beginChange(op string) error {
	if f.flag&Write == 0 {
		return pathError(op, f.path, fmt.Errorf("%w: opened without Write", fs.ErrPermission))
	}
	return f.begin(op)
}

// checkRange refuses ranges that no system takes, and wrong alignment.
func (f *memFile) checkRange(op string, b []byte, off int64) error {
	if off < 0 {
		return pathError(op, f.path, fmt.Errorf("%w: offset %d", fs.ErrInvalid, off))
	}
	if f.flag&Direct != 0 {
		return pathError(op, f.path, checkAligned(b, off))
	}
	return nil
}

func (f *memFile) ReadAt(b []byte, off int64) (n int, err error) {
	if err := f.checkRange("read", b, off); err != nil {
		return 0, err
	}
	if err := f.begin("read"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	for n < len(b) && off+int64(n) < f.node.size {
		at := off + int64(n)
		i, skip := int(at/BlockSize), int(at%BlockSize)
		end := int(min(BlockSize, f.node.size-int64(i)*BlockSize))
		block := &zeroBlock
		if i < len(f.node.blocks) && f.node.blocks[i] != nil {
			block = f.node.blocks[i]
		}
		n += copy(b[n:], block[skip:end])
	}
	f.fs.counts.Reads++
	f.fs.counts.BytesRead += int64(n)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes what fits and then answers ErrNoSpace when the file system is full.
func (f *memFile) WriteAt(b []byte, off int64) (n int, err error) {
	if err := f.checkRange("write", b, off); err != nil {
		return 0, err
	}
	begin := f.beginChange
	if len(b) == 0 { // which no system refuses, however the file was opened
		begin = f.begin
	}
	if err := begin("write"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	for n < len(b) {
		at := off + int64(n)
		i, skip := int(at/BlockSize), int(at%BlockSize)
		block, ok := f.fs.writable(f.node, i)
		if !ok {
			err = pathError("write", f.path, ErrNoSpace)
			break
		}
		n += copy(block[skip:], b[n:])
		f.node.size = max(f.node.size, off+int64(n))
	}
	f.node.modified = time.Now()
	f.fs.counts.Writes++
	f.fs.counts.BytesWritten += int64(n)
	return n, err
}

// writable returns block i of n for writing: copied first if others see it, made if it is a hole and there is room.
func (m *Mem) writable(n *memNode, i int) (*memBlock, bool) {
	n.grow(i + 1)
	old := n.blocks[i]
	if old == nil {
		if !m.take(BlockSize) {
			return nil, false
		}
		old = &zeroBlock
	}
	if !n.dirty[i] || old == &zeroBlock {
		block := *old
		n.blocks[i] = &block
	}
	n.dirty[i] = true
	return n.blocks[i], true
}

func (n *memNode) grow(blocks int) {
	if blocks > len(n.blocks) {
		n.blocks = append(n.blocks, make([]*memBlock, blocks-len(n.blocks))...)
	}
}

func (m *Mem) take(bytes int64) bool {
	if m.capacity > 0 && m.used+bytes > m.capacity {
		return false
	}
	m.used += bytes
	return true
}

func (f *memFile) Sync() error {
	err := f.fs.beginSync("sync", f.path)
	if err != nil {
		f.fs.mu.Lock()
	}
	defer f.fs.mu.Unlock()
	switch {
	case f.closed:
		return pathError("sync", f.path, fs.ErrClosed)
	case f.failed != nil:
		return &poisoned{f.failed}
	case err != nil:
		f.failed = err
		for i := range f.node.dirty {
			f.node.dirty[i] = false
		}
		return err
	}
	f.fs.counts.Syncs++
	f.node.harden()
	return nil
}

// harden makes content and size durable, except for the blocks that an earlier Sync failed to write.
func (n *memNode) harden() {
	d := &n.durable
	if len(d.blocks) > len(n.blocks) {
		clear(d.blocks[len(n.blocks):])
		d.blocks = d.blocks[:len(n.blocks)]
	}
	for len(d.blocks) < len(n.blocks) {
		d.blocks = append(d.blocks, nil)
	}
	for i, live := range n.dirty {
		if live {
			d.blocks[i] = n.blocks[i]
			delete(n.dirty, i)
		}
	}
	d.size, n.minSize = n.size, n.size
}

func (f *memFile) Truncate(size int64) error {
	if size < 0 {
		return pathError("truncate", f.path, fs.ErrInvalid)
	}
	if err := f.beginChange("truncate"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.fs.truncate(f.node, size)
	return nil
}

// truncate drops whole blocks beyond size and zeroes the rest of the last one.
func (m *Mem) truncate(n *memNode, size int64) {
	whole := int((size + BlockSize - 1) / BlockSize)
	if whole < len(n.blocks) {
		m.used -= charge(n.blocks[whole:])
		for i := range n.blocks[whole:] {
			delete(n.dirty, whole+i)
		}
		clear(n.blocks[whole:])
		n.blocks = n.blocks[:whole]
	}
	if tail := int(size % BlockSize); tail > 0 && size < n.size && whole == len(n.blocks) && n.blocks[whole-1] != nil {
		if block, ok := m.writable(n, whole-1); ok {
			clear(block[tail:])
		}
	}
	n.size, n.minSize = size, min(n.minSize, size)
	n.modified = time.Now()
}

func (f *memFile) Allocate(off, n int64) error {
	if off < 0 || n <= 0 {
		return pathError("allocate", f.path, fs.ErrInvalid)
	}
	if err := f.beginChange("allocate"); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	first, last := int(off/BlockSize), int((off+n-1)/BlockSize)
	need := int64(0)
	for i := first; i <= last; i++ {
		if i >= len(f.node.blocks) || f.node.blocks[i] == nil {
			need += BlockSize
		}
	}
	if !f.fs.take(need) {
		return pathError("allocate", f.path, ErrNoSpace)
	}
	f.node.grow(last + 1)
	for i := first; i <= last; i++ {
		if f.node.blocks[i] == nil {
			f.node.blocks[i] = &zeroBlock
		}
	}
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.begin("size"); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	return f.node.size, nil
}

func (f *memFile) Prefetch(off, n int64)  {}
func (f *memFile) DropCache(off, n int64) {}

func (f *memFile) Fd() uintptr { return ^uintptr(0) }

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.path, fs.ErrClosed)
	}
	f.closed = true
	f.node.opens--
	f.fs.reclaim(f.node)
	return nil
}
