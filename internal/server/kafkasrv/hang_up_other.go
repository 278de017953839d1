//go:build !linux

package kafkasrv

import "net"

// tookAll is never certain where the system is not asked: the connection ends with a FIN alone.
func tookAll(*net.TCPConn) bool { return false }
