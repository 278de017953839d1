//go:build unix

package seglog

import (
	"golang.org/x/sys/unix"
)

// mapChunk takes memory outside the Go heap, so that the garbage collector neither scans it nor sizes its heap by it.
func mapChunk() []byte {
	b, err := unix.Mmap(-1, 0, chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("seglog: no memory for a chunk of 1 MiB: " + err.Error()) // as the runtime does when the system refuses memory
	}
	return b
}

func unmapChunk(b []byte) { _ = unix.Munmap(b) }
