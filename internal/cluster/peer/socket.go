package peer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// writeTimeout is how long a piece of a write may take before the connection counts as broken.
	writeTimeout = 10 * time.Second
	// writePiece is how many bytes get one writeTimeout.
	writePiece = 1 << 20
)

// tune sets up a TCP connection: small writes leave at once, what was lost is sent again soon, and a host that is gone is noticed though nobody
// speaks.
func tune(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)
		hasten(tcp)
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3})
	}
}

// writeAll writes b within writeTimeout for each of its pieces.
func writeAll(nc net.Conn, b []byte) error {
	for len(b) > 0 {
		if err := nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		n, err := nc.Write(b[:min(len(b), writePiece)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// patientReader reads from a connection and gives up when nothing came for as long as patience (errSilent).
type patientReader struct {
	nc       net.Conn
	patience time.Duration
}

func (r patientReader) Read(p []byte) (int, error) {
	if err := r.nc.SetReadDeadline(time.Now().Add(r.patience)); err != nil {
		return 0, err
	}
	n, err := r.nc.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w (%v)", errSilent, r.patience)
	}
	return n, err
}
