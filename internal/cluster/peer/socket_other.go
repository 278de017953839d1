//go:build !linux

package peer

import "net"

// hasten does nothing where the system has its own mind about when to send again.
func hasten(*net.TCPConn) {}
