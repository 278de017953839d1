package abuse

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bytes that are no request close the connection, at once or when the peer has said its last, and hurt nobody else.
func TestBytesThatAreNoRequestCloseTheConnection(t *testing.T) {
	w := start(t)
	rng := seeded(t)
	garbage := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	length := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	header := func(key, version int16, rest ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		b = append(b, 0, 0, 0, 1)
		return append(b, rest...)
	}
	whole := func(body []byte) []byte { return length(uint32(len(body)), body...) }
	cases := map[string][]byte{
		"nothing":                  nil,
		"a zero":                   {0},
		"zeros":                    make([]byte, 100_000),
		"ones":                     garbageOf(0xff, 100_000),
		"HTTP":                     []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"HTTP/2":                   []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		"SSH":                      []byte("SSH-2.0-OpenSSH_9.9\r\n"),
		"length 0":                 length(0),
		"length 1":                 length(1, 0),
		"length 7":                 length(7, 0, 18, 0, 3, 0, 0, 0),
		"length 2^24-1":            length(1<<24-1, header(3, 12)...),
		"length of ApiVersions":    length(1<<20, header(18, 3)...),
		"length of an unknown API": length(1<<20, header(999, 3)...),
		"negative length":          length(0xffffffff),
		"least length":             length(0x80000000),
		"unknown API":              whole(header(999, 0, 0xff, 0xff)),
		"negative API":             whole(header(-1, 0, 0xff, 0xff)),
		"API above all":            whole(header(32767, 0, 0xff, 0xff)),
		"Metadata version 99":      whole(header(3, 99, 0xff, 0xff)),
		"Metadata version -1":      whole(header(3, -1, 0xff, 0xff)),
		"Produce version 2":        whole(header(0, 2, 0xff, 0xff)),
		"Heartbeat, not ours":      whole(header(12, 0, 0xff, 0xff)),
		"client id too long":       whole(header(3, 9, 0x7f, 0xff, 'x')),
		"negative client id":       whole(header(3, 9, 0x80, 0x00)),
		"tags without end":         whole(header(3, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)),
		"header alone":             whole(header(3, 9)),
		"truncated":                hello()[:len(hello())-1],
		"truncated length":         {0, 0, 0},
	}
	for i := range 40 {
		b := garbage(1 + rng.IntN(5000))
		if i%2 == 0 {
			b[0] = 0
		}
		cases[fmt.Sprintf("garbage %d", i)] = b
	}
	for what, b := range cases {
		nc := w.dial()
		_, _ = nc.Write(b)
		_ = nc.(*net.TCPConn).CloseWrite()
		w.ends(nc, 5*time.Second, what)
	}
	for i := range len(hello()) { // a request that stops at any byte
		nc := w.dial()
		_, _ = nc.Write(hello()[:i])
		_ = nc.(*net.TCPConn).CloseWrite()
		w.ends(nc, 5*time.Second, fmt.Sprintf("hello cut at %d", i))
	}
	nc := w.dial()
	if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("a TLS handshake succeeded")
	}
	_ = nc.Close()
	w.checkWell()
}

func garbageOf(b byte, n int) []byte {
	all := make([]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}

// ApiVersions of a version to come is answered in version 0 with UNSUPPORTED_VERSION: that is how clients find out (KIP-511).
func TestApiVersionsOfTheFutureIsAnswered(t *testing.T) {
	w := start(t)
	for _, version := range []int16{6, 7, 100, 32767} {
		q := hello()
		binary.BigEndian.PutUint16(q[6:], uint16(version))
		nc := w.dial()
		_, _ = nc.Write(q)
		b, err := readFrame(nc)
		a := kmsg.NewPtrApiVersionsResponse()
		if err == nil {
			err = a.ReadFrom(b[4:])
		}
		if err != nil || a.ErrorCode != 35 || len(a.ApiKeys) == 0 {
			t.Errorf("version %d: %v, code %d, %d keys", version, err, a.ErrorCode, len(a.ApiKeys))
		}
		_ = nc.Close()
	}
	w.checkWell()
}
