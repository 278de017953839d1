package listen

import (
	"container/list"
	"net"
	"net/netip"
	"time"
)

// Conn is an accepted connection as a door gets it: nothing that came in is missing.
type Conn struct {
	net.Conn
	listener string
	ip       netip.Addr
	accepted time.Time
	first    [1]byte
	unread   bool          // first has come and was not read
	place    *list.Element // among the silent ones, guarded by limits
}

// ListenerName is the name of the listener by which the connection came.
func (c *Conn) ListenerName() string { return c.listener }

// Unwrap gives the connection itself and what was read of it: for doors that write faster to what they know. Read must not be called
// any more.
func (c *Conn) Unwrap() (net.Conn, []byte) {
	if !c.unread {
		return c.Conn, nil
	}
	c.unread = false
	return c.Conn, c.first[:]
}

// Read gives the first byte and then what comes.
func (c *Conn) Read(p []byte) (int, error) {
	if c.unread && len(p) > 0 {
		c.unread = false
		p[0] = c.first[0]
		return 1, nil
	}
	return c.Conn.Read(p)
}

func (c *Conn) readFirst() error {
	for {
		n, err := c.Conn.Read(c.first[:])
		if n == 1 {
			c.unread = true
			return nil
		}
		if err != nil {
			return err
		}
	}
}
