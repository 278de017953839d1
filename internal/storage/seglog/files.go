package seglog

import (
	"container/list"
	"errors"
	"io/fs"
	"sync"

	"github.com/rafka-io/rafka/internal/vfs"
)

// fileCache keeps the files of segments open, the least recently used ones closed first. A file in use is never closed, so the limit may
// be passed by as many files as are in use at once.
type fileCache struct {
	fs    vfs.FS
	flag  vfs.Flag
	limit int

	mu   sync.Mutex // leaf; guards the list and every handle's fields, never held across I/O
	idle *list.List // of *handle with refs 0, oldest first
	open int
	free *sync.Cond // on mu: a retired file was closed
}

// handle is a segment's place in the cache.
type handle struct {
	path    string
	f       vfs.File
	refs    int
	elem    *list.Element
	doomed  bool       // remove the file when nobody uses it
	retired bool       // close the file when nobody uses it: its name now belongs to another
	opens   sync.Mutex // one opener at a time
}

func newFileCache(fsys vfs.FS, flag vfs.Flag, limit int) *fileCache {
	c := &fileCache{fs: fsys, flag: flag, limit: limit, idle: list.New()}
	c.free = sync.NewCond(&c.mu)
	return c
}

// acquire returns the open file; create makes it if absent.
func (c *fileCache) acquire(h *handle, create bool) (vfs.File, error) {
	if f := c.tryAcquire(h); f != nil {
		return f, nil
	}
	h.opens.Lock()
	defer h.opens.Unlock()
	if f := c.tryAcquire(h); f != nil {
		return f, nil
	}
	flag := c.flag
	if create {
		flag |= vfs.Create
	}
	f, err := c.fs.Open(h.path, flag)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	h.f, h.refs = f, 1
	c.open++
	c.mu.Unlock()
	c.closeIdle(c.limit)
	return f, nil
}

func (c *fileCache) tryAcquire(h *handle) vfs.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.f == nil {
		return nil
	}
	if h.refs == 0 {
		c.idle.Remove(h.elem)
		h.elem = nil
	}
	h.refs++
	return h.f
}

func (c *fileCache) release(h *handle) {
	c.mu.Lock()
	h.refs--
	if h.refs > 0 {
		c.mu.Unlock()
		return
	}
	if h.doomed || h.retired {
		f, doomed := h.f, h.doomed
		h.f = nil
		c.open--
		c.mu.Unlock()
		f.Close()
		if doomed {
			_ = c.fs.Remove(h.path)
		}
		c.free.Broadcast()
		return
	}
	h.elem = c.idle.PushBack(h)
	c.mu.Unlock()
	c.closeIdle(c.limit)
}

// closeIdle closes unused files until at most limit are open.
func (c *fileCache) closeIdle(limit int) {
	for {
		c.mu.Lock()
		front := c.idle.Front()
		if c.open <= limit || front == nil {
			c.mu.Unlock()
			return
		}
		h := front.Value.(*handle)
		c.idle.Remove(front)
		f := h.f
		h.f, h.elem = nil, nil
		c.open--
		c.mu.Unlock()
		f.Close()
	}
}

// drop closes the file if it is open and unused, for who is about to rename it. It reports whether the file is closed.
func (c *fileCache) drop(h *handle) bool {
	c.mu.Lock()
	if h.f != nil && h.refs > 0 {
		c.mu.Unlock()
		return false
	}
	f := h.f
	if f != nil {
		c.idle.Remove(h.elem)
		h.f, h.elem = nil, nil
		c.open--
	}
	c.mu.Unlock()
	if f != nil {
		f.Close()
	}
	return true
}

// retire closes the file as soon as nobody uses it.
func (c *fileCache) retire(h *handle) {
	c.mu.Lock()
	h.retired = true
	c.mu.Unlock()
	c.drop(h)
}

// remove deletes the file: at once where the system allows it, else when its last reader is done (STO-5).
func (c *fileCache) remove(h *handle) {
	c.retire(h)
	if err := c.fs.Remove(h.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.mu.Lock()
		h.doomed = h.refs > 0
		c.mu.Unlock()
	}
}

// wait closes the file and returns when nobody has it open any more, for who is about to use its name for another file.
func (c *fileCache) wait(h *handle) {
	c.retire(h)
	c.mu.Lock()
	defer c.mu.Unlock()
	for h.f != nil {
		c.free.Wait()
	}
}
