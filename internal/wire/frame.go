package wire

import (
	"math/bits"
	"sync"
)

// Frame is the bytes of one request, without the length in front. It comes from a pool by size and goes back at Release.
type Frame struct {
	lease lease
	class int
	buf   []byte // cap: the size of its class
}

// Bytes are the frame's own: valid until Release, not after (WIR-3).
func (f *Frame) Bytes() []byte { return f.buf }

// Release gives the memory back to its pool and to the budget. Releasing nil does nothing; releasing twice is a bug that the budget
// notices.
func (f *Frame) Release() {
	if f == nil {
		return
	}
	if f.lease.gate == nil {
		panic("wire: a frame was released twice")
	}
	l := f.lease
	f.lease = lease{}
	f.free()
	l.release() // last: whoever waits for these bytes may find the buffer in the pool
}

// Size classes are 1 KiB, 1.5 KiB, 2 KiB, 3 KiB, 4 KiB and so on: at most half of a buffer is not used.
const (
	firstClassBits = 10
	maxPooledClass = 2*(24-firstClassBits) + 1 // 24 MiB: larger frames are rare, and a pool would keep them for two collections
)

var framePools [maxPooledClass + 1]sync.Pool // of *Frame

// classOf is the smallest class that holds n bytes.
func classOf(n int) int {
	if n <= 1<<firstClassBits {
		return 0
	}
	b := bits.Len(uint(n - 1)) // 2^(b-1) < n <= 2^b
	if n <= 3<<(b-2) {
		return 2*(b-1-firstClassBits) + 1
	}
	return 2 * (b - firstClassBits)
}

func sizeOfClass(c int) int {
	if c%2 == 0 {
		return 1 << (firstClassBits + c/2)
	}
	return 3 << (firstClassBits + c/2 - 1)
}

// newFrame returns a frame without bytes that has room for n; its lease is still to be set.
func newFrame(n int) *Frame {
	c := classOf(n)
	if c <= maxPooledClass {
		if f, _ := framePools[c].Get().(*Frame); f != nil {
			f.buf = f.buf[:0]
			return f
		}
	}
	return &Frame{class: c, buf: make([]byte, 0, sizeOfClass(c))}
}

// free puts the buffer into its pool; the lease has been taken from it.
func (f *Frame) free() {
	scribble(f.buf[:cap(f.buf)])
	if f.class <= maxPooledClass {
		framePools[f.class].Put(f)
	}
}
