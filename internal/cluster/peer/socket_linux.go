package peer

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// resendAtMost is the longest pause before the system sends again what was not acknowledged. It doubles with each try up to two minutes by
	// default, so that after a link was cut for five seconds its connections are silent for up to five more, raft's among them: a leader
	// that was whole again would lose its majority as soon as the next broker fails.
	resendAtMost = time.Second
	// unacknowledged is for how long something may stay so before the connection counts as broken.
	unacknowledged = 15 * time.Second

	optResendAtMost = 44 // TCP_RTO_MAX_MS, since Linux 6.15
)

// hasten bounds how long the system waits for a peer that does not acknowledge. What an older system does not know is left out.
func hasten(tcp *net.TCPConn) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, optResendAtMost, int(resendAtMost.Milliseconds()))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged.Milliseconds()))
	})
}
