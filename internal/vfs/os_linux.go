package vfs

import "golang.org/x/sys/unix"

// setDirect turns the page cache off for fd. It is done after opening, because an open with O_DIRECT that the file system refuses
// may have created the file already. A refusal (EINVAL: tmpfs of old kernels, some network file systems) leaves the file buffered.
func setDirect(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_DIRECT); err != nil && err != unix.EINVAL {
		return err
	}
	return nil
}

// syncFile is fdatasync: it leaves out the times, and includes the size and where the blocks are.
func syncFile(fd int) error { return unix.Fdatasync(fd) }

func fsync(fd int) error { return unix.Fsync(fd) }

func allocate(fd int, off, n int64) error {
	err := unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return nil
	}
	return err
}

func prefetch(fd int, off, n int64) error { return unix.Fadvise(fd, off, n, unix.FADV_WILLNEED) }

func dropCache(fd int, off, n int64) error { return unix.Fadvise(fd, off, n, unix.FADV_DONTNEED) }
