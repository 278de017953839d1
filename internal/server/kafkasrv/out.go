package kafkasrv

import (
	"net"
	"sync"
)

const (
	// coalesce is up to how many bytes are copied together to leave in one write; more are written from where they are.
	coalesce = 32 << 10
	// maxPooledOut is the largest buffer kept for the next answer.
	maxPooledOut = 256 << 10
)

// out gathers answers and writes them. It is held while a goroutine has the writing role, so an idle connection has none.
type out struct {
	conn *conn
	buf  []byte // to be written
	vec  [2][]byte
	bufs net.Buffers
}

var outPool = sync.Pool{New: func() any { return &out{buf: make([]byte, 0, 4<<10)} }}

func newOut(c *conn) *out {
	o := outPool.Get().(*out)
	o.conn = c
	return o
}

func (o *out) free() {
	if cap(o.buf) > maxPooledOut {
		return
	}
	o.conn, o.buf = nil, o.buf[:0]
	outPool.Put(o)
}

// Write takes p: small pieces are copied, large ones are written at once behind what was gathered, in one system call. So an Extent
// can be written here without its records being copied.
func (o *out) Write(p []byte) (int, error) {
	if len(o.buf)+len(p) <= coalesce {
		o.buf = append(o.buf, p...)
		return len(p), nil
	}
	if len(o.buf) == 0 {
		return len(p), o.write(p, nil)
	}
	err := o.write(o.buf, p)
	o.buf = o.buf[:0]
	return len(p), err
}

// flush writes what was gathered.
func (o *out) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	err := o.write(o.buf, nil)
	o.buf = o.buf[:0]
	return err
}

func (o *out) write(a, b []byte) error {
	c := o.conn
	c.writing.Store(true)
	defer c.writing.Store(false)
	c.writes.Add(1)
	c.srv.stats.bytesOut.Add(uint64(len(a) + len(b)))
	if b == nil {
		_, err := c.nc.Write(a)
		return err
	}
	o.vec = [2][]byte{a, b}
	o.bufs = o.vec[:]
	_, err := o.bufs.WriteTo(c.nc)
	o.vec = [2][]byte{}
	return err
}
