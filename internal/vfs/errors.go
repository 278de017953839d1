package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"
)

// Errors of file systems; errors.Is.
var (
	ErrNoSpace  = errors.New("no space left on the file system")                                                         // also a quota that is used up
	ErrLocked   = errors.New("locked by another process")                                                                // Lock
	ErrPoisoned = errors.New("an earlier sync of this file failed, so what it holds on disk is unknown: reopen the log") // Sync, VFS-3
	ErrAlign    = errors.New("direct I/O needs offset, length and memory in multiples of 4096 bytes")                    // ReadAt, WriteAt
)

// pathError says what was being done to which file, as the os package does.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// checkFlag refuses what no system defines.
func checkFlag(flag Flag) error {
	if flag&Truncate != 0 && flag&Write == 0 {
		return fmt.Errorf("%w: Truncate needs Write", fs.ErrInvalid)
	}
	if flag&Exclusive != 0 && flag&Create == 0 {
		return fmt.Errorf("%w: Exclusive needs Create", fs.ErrInvalid)
	}
	return nil
}

// checkAligned reports ErrAlign unless b and off suit direct I/O. It is asked for every file opened with Direct, also where the
// system ignored the flag, so that a wrong caller shows on every machine.
func checkAligned(b []byte, off int64) error {
	if off%BlockSize != 0 || len(b)%BlockSize != 0 || len(b) > 0 && uintptr(unsafe.Pointer(&b[0]))%BlockSize != 0 {
		return fmt.Errorf("%w: offset %d, length %d", ErrAlign, off, len(b))
	}
	return nil
}
