package vfs

import (
	"io"
	"time"
)

// FS is a file system. Paths are the operating system's. Errors satisfy errors.Is with fs.ErrNotExist, fs.ErrExist and ErrNoSpace.
type FS interface {
	// Open opens as asked; see Flag.
	Open(path string, flag Flag) (File, error)
	// Remove removes a file or an empty directory; RemoveAll a tree. What is removed stays removed after a crash once SyncDir of its parent ran.
	Remove(path string) error
	RemoveAll(path string) error
	// Rename replaces newpath, atomically; durable once SyncDir of both parents ran.
	Rename(oldpath, newpath string) error
	// MkdirAll makes a directory and its parents (mode 0755); durable once SyncDir of each new directory's parent ran.
	MkdirAll(path string) error
	// List names the entries of a directory, sorted.
	List(dir string) ([]string, error)
	Stat(path string) (Info, error)
	// SyncDir makes the entries of dir durable.
	SyncDir(dir string) error
	// Free is the space left and the total of the file system that holds path, in bytes.
	Free(path string) (free, total uint64, err error)
	// Lock takes an exclusive lock on path (created if absent) that the process's end releases. ErrLocked if another process holds it.
	Lock(path string) (io.Closer, error)
}

// Flag says how Open opens; they combine.
type Flag int

// Read is implied. Create makes the file when absent; Exclusive then refuses an existing one; Truncate empties it.
// Direct bypasses the page cache where the system can (else it is ignored): offsets, lengths and memory are then multiples of BlockSize.
const (
	Write Flag = 1 << iota
	Create
	Exclusive
	Truncate
	Direct
)

// BlockSize is the alignment that direct I/O needs, and the unit that the crashing file system loses or tears.
const BlockSize = 4096

// File is an open file. ReadAt and WriteAt may run concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes data and size durable (fdatasync). After a failure the file is poisoned: every later Sync fails too (VFS-3).
	Sync() error
	// Truncate sets the size; durable after Sync.
	Truncate(size int64) error
	// Allocate reserves space for [off, off+n) without changing the size that Size reports, if the system can; else nothing.
	Allocate(off, n int64) error
	Size() (int64, error)
	// Prefetch asks the system to read [off, off+n) soon; DropCache to forget it. Hints.
	Prefetch(off, n int64)
	DropCache(off, n int64)
	// Fd is the descriptor for sendfile, or ^uintptr(0) if there is none.
	Fd() uintptr
}

// Info is what Stat tells.
type Info struct {
	Size    int64
	ModTime time.Time
	IsDir   bool
}

// Aligned returns n bytes whose address is a multiple of BlockSize, as Direct needs. It is make with an offset; see storage engines for pools.
func Aligned(n int) []byte { return aligned(n) }
