//go:build unix

package listen

import "syscall"

// openFiles is the limit on open files of this process. (Go raises the soft limit to the hard one when it starts.)
func openFiles() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur > manyFiles {
		return manyFiles
	}
	return int(r.Cur)
}
