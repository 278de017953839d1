package kafkasrv

import (
	"net"
	"time"
)

const (
	// hangUpLook lies between two looks at whether a client has taken everything that it was sent, the end included, and mostHangUpLooks is how
	// often it is looked. A client that reads notices the end meanwhile and closes its side.
	hangUpLook      = 25 * time.Millisecond
	mostHangUpLooks = 8
)

// hangUp ends a connection that has drained. The client is told by a FIN behind the last answer, and if it has not closed its side a moment later,
// by a reset.
//
// Clients which read only when they wait for an answer do not see a FIN. Such a client sends its next request into the closed connection, perhaps
// after this broker was started again, cannot know whether it was taken, and waits before it tries again: a quarter of a second, and longer if what
// it asks for then, the metadata, goes the same way. After the reset its system refuses the write, so it knows that nothing was sent, and
// connects anew at once.
func (c *conn) hangUp() {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok || c.session.Load().Peer { // who notices by itself
		c.close()
		return
	}
	if c.hangingUp.Swap(true) {
		return
	}
	if tcp.CloseWrite() != nil {
		c.close()
		return
	}
	looks := 0
	var look func()
	look = func() {
		looks++
		switch {
		case c.ctx.Err() != nil:
			return
		case tookAll(tcp):
			_ = tcp.SetLinger(0) // closing is a reset
		case looks < mostHangUpLooks:
			time.AfterFunc(hangUpLook, look)
			return
		}
		c.close()
	}
	time.AfterFunc(hangUpLook, look)
}
