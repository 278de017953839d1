package peer

import (
	"io"
	"math/bits"
	"sync"
)

// Buffers come in powers of two from 4 KiB to 64 MiB; larger ones are not kept.
const (
	smallestBits = 12
	largestBits  = 26
)

// firstRoom is how much memory a claim alone gets, in bytes. More is reserved as bytes come, doubling each time, or at once if the
// connection has sent so much before.
const firstRoom = 256 << 10

var pools [largestBits - smallestBits + 1]sync.Pool // of *buffer

// buffer is memory from a pool by size.
type buffer struct {
	b    []byte
	pool *sync.Pool // nil: not kept
}

// newBuffer returns an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	class := max(bits.Len(uint(max(n, 1)-1)), smallestBits)
	if class > largestBits {
		return &buffer{b: make([]byte, 0, n)}
	}
	pool := &pools[class-smallestBits]
	if f, _ := pool.Get().(*buffer); f != nil {
		return f
	}
	return &buffer{b: make([]byte, 0, 1<<class), pool: pool}
}

// free gives the memory back. Nobody may use it any more.
func (f *buffer) free() {
	if scribbles {
		all := f.b[:cap(f.b)]
		all[0] = 0xDB
		for n := 1; n < len(all); n *= 2 {
			copy(all[n:], all[:n])
		}
	}
	f.b = f.b[:0]
	if f.pool != nil {
		f.pool.Put(f)
	}
}

// readBuffer reads n bytes. shown is the most that the connection has sent at once: so much is reserved without waiting for bytes.
func readBuffer(r io.Reader, n, shown int) (*buffer, error) {
	f := newBuffer(min(n, max(shown, firstRoom)))
	for {
		have := len(f.b)
		f.b = f.b[:min(n, cap(f.b))]
		if m, err := io.ReadFull(r, f.b[have:]); err != nil {
			if err == io.EOF && (have > 0 || m == 0) {
				err = io.ErrUnexpectedEOF
			}
			f.free()
			return nil, err
		}
		if len(f.b) == n {
			return f, nil
		}
		bigger := newBuffer(min(n, 2*cap(f.b)))
		bigger.b = append(bigger.b, f.b...)
		f.free()
		f = bigger
	}
}
