package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/rafka-io/rafka/internal/kafka"
)

// kind is what a frame is.
type kind byte

const (
	callKind    kind = 1 // caller to server: a method and its body
	answerKind  kind = 2 // server to caller: a body
	failureKind kind = 3 // server to caller: a code and a message
	cancelKind  kind = 4 // caller to server: nobody waits for the answer any more
	pingKind    kind = 5 // both ways: I am here
)

const (
	headerSize = 4 + 1 + 8 // length of what follows it, kind, call id
	maxMethod  = 255       // bytes of a method's name
	// frameSlack is what a frame has besides the body that MaxBody limits: kind and id, the method's name and its length.
	frameSlack = headerSize - 4 + 1 + maxMethod
	maxMessage = 16 << 10 // bytes of an error's message; longer ones are cut
)

// errFrame says that bytes are no frame of ours.
var errFrame = errors.New("malformed frame")

// header is the fixed part of a frame.
type header struct {
	kind kind
	id   uint64 // of the call; 0 for pings
	size int    // bytes that follow
}

// readHeader reads a frame's header. The size is at most maxBody and what goes with it.
func readHeader(r io.Reader, maxBody int) (header, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, err
	}
	claim := binary.BigEndian.Uint32(b[:])
	h := header{kind: kind(b[4]), id: binary.BigEndian.Uint64(b[5:])}
	if claim < headerSize-4 || uint64(claim) > uint64(maxBody)+frameSlack {
		return header{}, fmt.Errorf("%w: it claims %d bytes, allowed are %d to %d", errFrame, claim, headerSize-4, maxBody+frameSlack)
	}
	h.size = int(claim) - (headerSize - 4)
	switch h.kind {
	case callKind, answerKind:
	case failureKind:
		if h.size < 2 || h.size > 2+maxMessage {
			return header{}, fmt.Errorf("%w: a failure of %d bytes", errFrame, h.size)
		}
	case cancelKind, pingKind:
		if h.size != 0 {
			return header{}, fmt.Errorf("%w: kind %d has no body, and one of %d bytes came", errFrame, h.kind, h.size)
		}
	default:
		return header{}, fmt.Errorf("%w: kind %d is unknown", errFrame, h.kind)
	}
	return h, nil
}

func appendHeader(dst []byte, k kind, id uint64, size int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(headerSize-4+size))
	dst = append(dst, byte(k))
	return binary.BigEndian.AppendUint64(dst, id)
}

// appendCall appends a call; method is not longer than maxMethod.
func appendCall(dst []byte, id uint64, method string, body []byte) []byte {
	dst = appendHeader(dst, callKind, id, 1+len(method)+len(body))
	dst = append(dst, byte(len(method)))
	dst = append(dst, method...)
	return append(dst, body...)
}

// parseCall splits what follows the header of a call.
func parseCall(b []byte) (method, body []byte, err error) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return nil, nil, fmt.Errorf("%w: a call without a method", errFrame)
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], nil
}

func appendAnswer(dst []byte, id uint64, body []byte) []byte {
	return append(appendHeader(dst, answerKind, id, len(body)), body...)
}

func appendFailure(dst []byte, id uint64, code kafka.ErrorCode, message string) []byte {
	message = cut(message)
	dst = appendHeader(dst, failureKind, id, 2+len(message))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, message...)
}

// cut shortens a message to maxMessage bytes, between two characters.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	n := maxMessage
	for n > maxMessage-utf8.UTFMax && !utf8.RuneStart(message[n]) {
		n--
	}
	return message[:n]
}

// parseFailure is the error that a failure carries; readHeader has checked its size.
func parseFailure(b []byte) *kafka.Error {
	code := kafka.ErrorCode(binary.BigEndian.Uint16(b))
	if code == kafka.None {
		code = kafka.UnknownServerError
	}
	return &kafka.Error{Code: code, Message: string(b[2:])}
}
