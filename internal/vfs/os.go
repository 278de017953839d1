package vfs

import (
	"io"
	"os"
	"slices"
	"sync"
)

// OS is the operating system's file system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Remove(path string) error    { return noSpace(os.Remove(path)) }
func (osFS) RemoveAll(path string) error { return noSpace(os.RemoveAll(path)) }
func (osFS) MkdirAll(path string) error  { return noSpace(os.MkdirAll(path, 0o755)) }
func (osFS) Rename(oldpath, newpath string) error {
	return noSpace(os.Rename(oldpath, newpath))
}

func (osFS) List(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

func (osFS) Stat(path string) (Info, error) {
	i, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: i.Size(), ModTime: i.ModTime(), IsDir: i.IsDir()}, nil
}

func (osFS) Open(path string, flag Flag) (File, error) {
	if err := checkFlag(flag); err != nil {
		return nil, pathError("open", path, err)
	}
	f, err := openFile(path, flag)
	if err != nil {
		return nil, pathError("open", path, noSpace(err))
	}
	return f, nil
}

func (osFS) SyncDir(dir string) error { return pathError("sync", dir, noSpace(syncDir(dir))) }

func (osFS) Free(path string) (free, total uint64, err error) {
	free, total, err = statfs(path)
	return free, total, pathError("statfs", path, err)
}

func (osFS) Lock(path string) (io.Closer, error) {
	c, err := lockFile(path)
	if err != nil {
		return nil, pathError("lock", path, noSpace(err))
	}
	return c, nil
}

// noSpace marks the system's ways of saying "full" with ErrNoSpace; err stays in the chain.
func noSpace(err error) error {
	if err != nil && isNoSpace(err) {
		return &full{err}
	}
	return err
}

// full reads as the error it wraps and is ErrNoSpace.
type full struct{ error }

func (f *full) Unwrap() error        { return f.error }
func (f *full) Is(target error) bool { return target == ErrNoSpace }

// flush runs the syncs of one file, one at a time, and remembers a failure (VFS-3).
//
// The system reports a failed write-back once, to whoever asks first. Were two syncs to run at once, one could be told of the failure
// and the other of success, about the same bytes.
type flush struct {
	mu     sync.Mutex // held across the system's sync; nothing else is locked under it
	failed error
}

func (f *flush) run(sync func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return &poisoned{f.failed}
	}
	f.failed = sync()
	return f.failed
}

// poisoned is ErrPoisoned, with the failure that caused it in the chain.
type poisoned struct{ cause error }

func (p *poisoned) Error() string        { return ErrPoisoned.Error() + ": " + p.cause.Error() }
func (p *poisoned) Unwrap() error        { return p.cause }
func (p *poisoned) Is(target error) bool { return target == ErrPoisoned }
