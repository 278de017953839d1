package peer

import (
	"errors"
	"net"
)

// protocol is what a connection to the peer port speaks.
type protocol byte

const (
	unknownProtocol protocol = iota
	callProtocol             // our own
	kafkaProtocol            // Kafka frames
	raftProtocol             // HTTP/1: etcd to etcd
	clientProtocol           // HTTP/2: gRPC of etcd's clients
	gossipProtocol           // gossip, behind its magic
)

// GossipMagic are the first bytes of a stream of gossip. Who serves it gets what follows them.
const GossipMagic = "RKG1"

// firstSize is how many bytes tell the protocols apart.
const firstSize = 4

// protocolOf tells the protocol from the first bytes; ok is false while more of them are needed. One zero is enough: it is the length of
// a Kafka frame, and the other protocols begin with letters.
func protocolOf(first []byte) (p protocol, ok bool) {
	switch {
	case len(first) > 0 && first[0] == 0:
		return kafkaProtocol, true
	case len(first) < firstSize:
		return unknownProtocol, false
	}
	switch string(first[:firstSize]) {
	case magic:
		return callProtocol, true
	case "GET ", "POST", "PUT ", "HEAD", "DELE":
		return raftProtocol, true
	case GossipMagic:
		return gossipProtocol, true
	case "PRI ":
		return clientProtocol, true
	}
	return unknownProtocol, true
}

// readFirst reads as little as tells the protocol. Not more than firstSize bytes are read.
func readFirst(nc net.Conn) (p protocol, first []byte, err error) {
	first = make([]byte, 0, firstSize)
	for {
		n, err := nc.Read(first[len(first):firstSize])
		first = first[:len(first)+n]
		if p, ok := protocolOf(first); ok {
			return p, first, nil
		}
		if err != nil {
			return unknownProtocol, first, err
		}
	}
}

// errNotServed says that a connection speaks a protocol that nobody serves here now.
var errNotServed = errors.New("this protocol is not served here now")

// Conn is a connection as ServerOptions.Kafka gets it: nothing that came in is missing.
type Conn struct {
	net.Conn
	first []byte // read of Conn and not given out yet
}

// ListenerName is empty: peers come by no listener that clients know.
func (c *Conn) ListenerName() string { return "" }

// Unwrap gives the connection itself and what was read of it. Read must not be called any more.
func (c *Conn) Unwrap() (net.Conn, []byte) {
	first := c.first
	c.first = nil
	return c.Conn, first
}

// Read gives the first bytes and then what comes.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
