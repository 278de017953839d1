package peer

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// What was lost is sent again within a second however long a link was cut, where the system can be told so.
func TestConnectionsSendAgainSoon(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tune(c)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || got != int(unacknowledged.Milliseconds()) {
			t.Errorf("TCP_USER_TIMEOUT is %d ms, %v", got, err)
		}
		got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, optResendAtMost)
		if err == unix.ENOPROTOOPT {
			t.Skip("the system has no TCP_RTO_MAX_MS")
		}
		if err != nil || got != int(resendAtMost.Milliseconds()) {
			t.Errorf("TCP_RTO_MAX_MS is %d ms, %v", got, err)
		}
	})
}
