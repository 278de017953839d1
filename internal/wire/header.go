package wire

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed says that bytes are no message of the kind and version they claim to be.
var ErrMalformed = errors.New("malformed request")

// RequestHeader is what comes before the body of every request. Client ids alias the frame.
type RequestHeader struct {
	Key         int16
	Version     int16
	Correlation int32
	ClientID    []byte // nil: none was sent
}

// PeekHeader reads key and version, which tell whether the rest of the header is flexible.
func PeekHeader(frame []byte) (key, version int16, err error) {
	if len(frame) < MinFrame {
		return 0, 0, ErrMalformed
	}
	return int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:])), nil
}

// ParseHeader reads a request header of version 2 if flexible, else of version 1, and returns the body behind it. (Version 0, without
// client id, is used by one API between brokers only.) The client id is an old-style string even when flexible.
func ParseHeader(frame []byte, flexible bool) (h RequestHeader, body []byte, err error) {
	r := NewReader(frame)
	h = RequestHeader{Key: r.Int16(), Version: r.Int16(), Correlation: r.Int32(), ClientID: r.NullableString(false)}
	if flexible {
		r.SkipTags()
	}
	return h, r.Rest(), r.Err()
}

// BeginResponse appends the length, still to be filled in by EndResponse, and the response header: version 1 if flexible, else 0. (The
// answer to ApiVersions has version 0 always, because a client sends it before it knows what the server speaks.)
func BeginResponse(dst []byte, correlation int32, flexible bool) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendInt32(dst, correlation)
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

// EndResponse fills in the length of the response that begins at start; extra bytes follow it that are not in dst.
func EndResponse(dst []byte, start, extra int) {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4+extra))
}
