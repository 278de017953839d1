package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rafka-io/rafka/internal/kafka"
)

// magic begins the hello of either side.
const magic = "RKP1"

// Versions of the protocol that this build speaks. The server chooses the highest that both do.
const (
	lowestVersion  = 1
	highestVersion = 1
)

// maxHello bounds what follows the length of a hello or of its answer, in bytes.
const maxHello = 4 << 10

// maxClusterID is the longest cluster id in bytes.
const maxClusterID = 255

// onlyOnce in a hello's flags says that the caller makes one call at most and then leaves: the connection's end tells nothing of it.
const onlyOnce = 1

// errHello says that bytes are no hello.
var errHello = errors.New("malformed hello")

// errWelcome says that what was answered is no welcome. Most often somebody has named another port of a broker in --join.
var errWelcome = fmt.Errorf("%w: it may be the port of clients or of HTTP, and not the peer port (--peer-addr) of a broker", errHello)

// hello is how a caller introduces itself.
type hello struct {
	lowest, highest uint16 // versions it speaks
	flags           byte
	node            kafka.BrokerID // NoBroker: no id yet
	clusterID       string         // "": unknown
}

// welcome is the server's answer. With a code other than None the connection ends behind it.
type welcome struct {
	version   uint16 // chosen; 0 with an error
	code      kafka.ErrorCode
	node      kafka.BrokerID // NoBroker: it has no id yet, or does not tell
	clusterID string
	message   string
}

func (h hello) appendTo(dst []byte) []byte {
	id := h.clusterID[:min(len(h.clusterID), maxClusterID)]
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(2+2+1+4+1+len(id)))
	dst = binary.BigEndian.AppendUint16(dst, h.lowest)
	dst = binary.BigEndian.AppendUint16(dst, h.highest)
	dst = append(dst, h.flags)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.node))
	dst = append(dst, byte(len(id)))
	return append(dst, id...)
}

func (w welcome) appendTo(dst []byte) []byte {
	id := w.clusterID[:min(len(w.clusterID), maxClusterID)]
	message := w.message[:min(len(w.message), maxHello/2)]
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(2+2+4+1+len(id)+2+len(message)))
	dst = binary.BigEndian.AppendUint16(dst, w.version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(w.code))
	dst = binary.BigEndian.AppendUint32(dst, uint32(w.node))
	dst = append(dst, byte(len(id)))
	dst = append(dst, id...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(message)))
	return append(dst, message...)
}

// readHello reads what follows the magic. Bytes behind the fields are those of a later version, and let be.
func readHello(r io.Reader) (h hello, err error) {
	b, err := readIntroduction(r)
	if err != nil {
		return hello{}, err
	}
	const fixed = 2 + 2 + 1 + 4 + 1
	if len(b) < fixed || len(b) < fixed+int(b[fixed-1]) {
		return hello{}, errHello
	}
	h = hello{
		lowest: binary.BigEndian.Uint16(b), highest: binary.BigEndian.Uint16(b[2:]), flags: b[4],
		node: kafka.BrokerID(binary.BigEndian.Uint32(b[5:])), clusterID: string(b[fixed : fixed+int(b[fixed-1])]),
	}
	if h.node < kafka.NoBroker || h.lowest > h.highest {
		return hello{}, errHello
	}
	return h, nil
}

// readWelcome reads the answer to a hello, the magic included.
func readWelcome(r io.Reader) (w welcome, err error) {
	var m [len(magic)]byte
	if _, err := io.ReadFull(r, m[:]); err != nil {
		return welcome{}, err
	}
	if string(m[:]) != magic {
		return welcome{}, errWelcome
	}
	b, err := readIntroduction(r)
	if err != nil {
		return welcome{}, err
	}
	const fixed = 2 + 2 + 4 + 1
	if len(b) < fixed || len(b) < fixed+int(b[fixed-1])+2 {
		return welcome{}, errWelcome
	}
	w = welcome{
		version: binary.BigEndian.Uint16(b), code: kafka.ErrorCode(binary.BigEndian.Uint16(b[2:])),
		node: kafka.BrokerID(binary.BigEndian.Uint32(b[4:])), clusterID: string(b[fixed : fixed+int(b[fixed-1])]),
	}
	b = b[fixed+len(w.clusterID):]
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n || w.node < kafka.NoBroker {
		return welcome{}, errWelcome
	}
	w.message = string(b[2 : 2+n])
	return w, nil
}

// readIntroduction reads a length and so many bytes.
func readIntroduction(r io.Reader) ([]byte, error) {
	var l [4]byte
	if _, err := io.ReadFull(r, l[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(l[:])
	if n > maxHello {
		return nil, fmt.Errorf("%w: it claims %d bytes, allowed are %d", errHello, n, maxHello)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
