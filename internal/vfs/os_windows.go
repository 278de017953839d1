package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// osFile is an os.File whose sharing mode lets others rename and delete it while it is open, as unix does.
type osFile struct {
	f      *os.File
	path   string
	direct bool
	flush  flush
}

func openFile(path string, flag Flag) (File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	access, how := uint32(windows.GENERIC_READ), uint32(windows.OPEN_EXISTING)
	if flag&Write != 0 {
		access |= windows.GENERIC_WRITE
	}
	switch {
	case flag&Exclusive != 0:
		how = windows.CREATE_NEW
	case flag&(Create|Truncate) == Create|Truncate:
		how = windows.CREATE_ALWAYS
	case flag&Create != 0:
		how = windows.OPEN_ALWAYS
	case flag&Truncate != 0:
		how = windows.TRUNCATE_EXISTING
	}
	share := uint32(windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE)
	h, err := windows.CreateFile(name, access, share, nil, how, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, err
	}
	return &osFile{f: os.NewFile(uintptr(h), path), path: path, direct: flag&Direct != 0}, nil
}

func (f *osFile) ReadAt(b []byte, off int64) (int, error) {
	if f.direct {
		if err := checkAligned(b, off); err != nil {
			return 0, pathError("read", f.path, err)
		}
	}
	return f.f.ReadAt(b, off)
}

func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	if f.direct {
		if err := checkAligned(b, off); err != nil {
			return 0, pathError("write", f.path, err)
		}
	}
	n, err := f.f.WriteAt(b, off)
	return n, noSpace(err)
}

func (f *osFile) Sync() error {
	return f.flush.run(func() error { return noSpace(f.f.Sync()) })
}

func (f *osFile) Truncate(size int64) error   { return noSpace(f.f.Truncate(size)) }
func (f *osFile) Allocate(off, n int64) error { return nil }
func (f *osFile) Prefetch(off, n int64)       {}
func (f *osFile) DropCache(off, n int64)      {}
func (f *osFile) Close() error                { return f.f.Close() }
func (f *osFile) Fd() uintptr                 { return f.f.Fd() }

func (f *osFile) Size() (int64, error) {
	i, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}

// syncDir does nothing: NTFS journals its directories itself and has no call to wait for it.
func syncDir(dir string) error {
	i, err := os.Stat(dir)
	if err == nil && !i.IsDir() {
		return &fs.PathError{Op: "sync", Path: dir, Err: windows.ERROR_DIRECTORY}
	}
	return err
}

func statfs(path string) (free, total uint64, err error) {
	if i, err := os.Stat(path); err != nil {
		return 0, 0, err
	} else if !i.IsDir() {
		path = filepath.Dir(path)
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, 0, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, &total, nil)
	return free, total, err
}

func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if err != nil {
		f.Close()
		if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
			err = ErrLocked
		}
		return nil, err
	}
	return f, nil
}

func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}
