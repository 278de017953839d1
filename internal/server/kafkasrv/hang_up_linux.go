package kafkasrv

import (
	"net"

	"golang.org/x/sys/unix"
)

// finWait2 is the state of a connection whose FIN was acknowledged, and so all that was written before, while the other side has not closed.
const finWait2 = 5

// tookAll reports whether the client's system has everything that was written, the end included, so that a reset takes nothing away.
func tookAll(tcp *net.TCPConn) (yes bool) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		yes = err == nil && info.State == finWait2
	})
	return yes
}
