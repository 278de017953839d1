//go:build unix

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// osFile keeps the descriptor itself instead of an os.File: a direct read that meets the end of the file must not be continued at
// an unaligned offset, which os.File.ReadAt would do.
type osFile struct {
	path   string
	direct bool
	flush  flush

	// closing is held for reading by whoever uses fd, so that Close waits for them and the number is not given to another file
	// under their hands. flush.mu is taken before it.
	closing sync.RWMutex
	fd      int // -1 once closed
}

func openFile(path string, flag Flag) (File, error) {
	mode := unix.O_CLOEXEC
	if flag&Write != 0 {
		mode |= unix.O_RDWR
	}
	if flag&Create != 0 {
		mode |= unix.O_CREAT
	}
	if flag&Exclusive != 0 {
		mode |= unix.O_EXCL
	}
	if flag&Truncate != 0 {
		mode |= unix.O_TRUNC
	}
	fd, err := retry(func() (int, error) { return unix.Open(path, mode, 0o644) })
	if err != nil {
		return nil, err
	}
	if flag&Direct != 0 {
		if err := setDirect(fd); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return &osFile{path: path, direct: flag&Direct != 0, fd: fd}, nil
}

// use runs fn on the descriptor, again while a signal interrupts it.
func (f *osFile) use(op string, fn func(fd int) error) error {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if f.fd < 0 {
		return pathError(op, f.path, fs.ErrClosed)
	}
	_, err := retry(func() (int, error) { return 0, fn(f.fd) })
	return pathError(op, f.path, noSpace(err))
}

func (f *osFile) ReadAt(b []byte, off int64) (n int, err error) {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if f.fd < 0 {
		return 0, pathError("read", f.path, fs.ErrClosed)
	}
	if f.direct {
		if err := checkAligned(b, off); err != nil {
			return 0, pathError("read", f.path, err)
		}
	}
	for n < len(b) {
		m, err := unix.Pread(f.fd, b[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, pathError("read", f.path, err)
		}
		n += m
		if m == 0 || f.direct && n%BlockSize != 0 {
			return n, io.EOF
		}
	}
	return n, nil
}

func (f *osFile) WriteAt(b []byte, off int64) (n int, err error) {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if f.fd < 0 {
		return 0, pathError("write", f.path, fs.ErrClosed)
	}
	if f.direct {
		if err := checkAligned(b, off); err != nil {
			return 0, pathError("write", f.path, err)
		}
	}
	for n < len(b) {
		m, err := unix.Pwrite(f.fd, b[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err == nil && m == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, pathError("write", f.path, noSpace(err))
		}
		n += m
	}
	return n, nil
}

func (f *osFile) Sync() error {
	return f.flush.run(func() error { return f.use("sync", syncFile) })
}

func (f *osFile) Truncate(size int64) error {
	return f.use("truncate", func(fd int) error { return unix.Ftruncate(fd, size) })
}

func (f *osFile) Allocate(off, n int64) error {
	return f.use("allocate", func(fd int) error { return allocate(fd, off, n) })
}

func (f *osFile) Size() (size int64, err error) {
	err = f.use("stat", func(fd int) error {
		var s unix.Stat_t
		err := unix.Fstat(fd, &s)
		size = s.Size
		return err
	})
	return size, err
}

func (f *osFile) Prefetch(off, n int64) {
	_ = f.use("prefetch", func(fd int) error { return prefetch(fd, off, n) })
}

func (f *osFile) DropCache(off, n int64) {
	_ = f.use("drop cache", func(fd int) error { return dropCache(fd, off, n) })
}

func (f *osFile) Fd() uintptr {
	f.closing.RLock()
	defer f.closing.RUnlock()
	return uintptr(f.fd)
}

// Close is not repeated when interrupted: Linux has given the descriptor back by then.
func (f *osFile) Close() error {
	f.closing.Lock()
	defer f.closing.Unlock()
	if f.fd < 0 {
		return pathError("close", f.path, fs.ErrClosed)
	}
	err := unix.Close(f.fd)
	f.fd = -1
	if err == unix.EINTR {
		err = nil
	}
	return pathError("close", f.path, noSpace(err))
}

func retry(fn func() (int, error)) (n int, err error) {
	for {
		if n, err = fn(); err != unix.EINTR {
			return n, err
		}
	}
}

func syncDir(dir string) error {
	fd, err := retry(func() (int, error) { return unix.Open(dir, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECTORY, 0) })
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = retry(func() (int, error) { return 0, fsync(fd) })
	return err
}

func statfs(path string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if _, err := retry(func() (int, error) { return 0, unix.Statfs(path, &s) }); err != nil {
		return 0, 0, err
	}
	block := uint64(s.Bsize)
	return uint64(s.Bavail) * block, uint64(s.Blocks) * block, nil
}

// lockFile uses flock: it ends with the descriptor, hence with the process, and excludes a second Lock of this process too.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	_, err = retry(func() (int, error) { return 0, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			err = ErrLocked
		}
		return nil, err
	}
	return f, nil
}

func isNoSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
