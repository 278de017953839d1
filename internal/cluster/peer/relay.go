package peer

import (
	"io"
	"net"
	"sync"
	"time"
)

// lastWords is how long the other direction may go on once one side has ended, for an answer that is still on its way.
const lastWords = time.Second

// relay copies bytes between two connections until either side ends, then closes both. first goes to b before what a says. The
// connections are the system's own where they can be, so that io.Copy need not bring the bytes into this process.
func relay(a, b net.Conn, first []byte) {
	defer a.Close()
	defer b.Close()
	if writeAll(b, first) != nil {
		return
	}
	_ = b.SetWriteDeadline(time.Time{}) // streams of etcd may be slow; keep-alives find the dead ones
	var other sync.WaitGroup
	other.Go(func() { pass(b, a) })
	pass(a, b)
	other.Wait()
}

// pass copies to the end of one direction, passes the end on, and leaves the other direction little time.
func pass(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		end := time.Now().Add(lastWords)
		_ = src.SetWriteDeadline(end)
		_ = dst.SetReadDeadline(end)
		return
	}
	_ = dst.Close()
	_ = src.Close()
}
