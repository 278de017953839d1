package textsrv

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/record"
)

// appendRecord writes a record as a line <offset>:<json> without its end. Text that is no UTF-8 stands in base64 under a name that says
// so; the partition is named only where several are read, headers only where there are some.
func appendRecord(dst []byte, r *broker.TailRecord, withPartition bool) []byte {
	dst = strconv.AppendInt(dst, int64(r.Offset), 10)
	dst = append(dst, ':', '{')
	if withPartition {
		dst = append(dst, `"partition":`...)
		dst = strconv.AppendInt(dst, int64(r.Partition), 10)
		dst = append(dst, ',')
	}
	dst = append(dst, `"offset":`...)
	dst = strconv.AppendInt(dst, int64(r.Offset), 10)
	dst = append(dst, ',')
	return append(appendContent(dst, &r.Record), '}')
}

// appendDelivery writes a message of a queue as {"id":…}. lockSeconds below 0: it is only looked at.
func appendDelivery(dst []byte, id messageID, deliveries int16, lockSeconds int64, r *record.Record) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(id.append(dst), `","deliveries":`...)
	dst = strconv.AppendInt(dst, int64(deliveries), 10)
	if lockSeconds >= 0 {
		dst = append(dst, `,"lock_seconds":`...)
		dst = strconv.AppendInt(dst, lockSeconds, 10)
	}
	dst = append(dst, ',')
	return append(appendContent(dst, r), '}')
}

// appendContent writes what the producer gave.
func appendContent(dst []byte, r *record.Record) []byte {
	dst = appendBytes(dst, "key", r.Key)
	dst = append(dst, ',')
	dst = appendBytes(dst, "value", r.Value)
	for i, h := range r.Headers {
		if i == 0 {
			dst = append(dst, `,"headers":[{`...)
		} else {
			dst = append(dst, `},{`...)
		}
		dst = appendBytes(dst, "key", []byte(h.Key))
		dst = append(dst, ',')
		dst = appendBytes(dst, "value", h.Value)
	}
	if len(r.Headers) > 0 {
		dst = append(dst, '}', ']')
	}
	return dst
}

// appendBytes writes "name":"text", "name":null or "name_base64":"…".
func appendBytes(dst []byte, name string, b []byte) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	switch {
	case b == nil:
		return append(dst, `":null`...)
	case utf8.Valid(b):
		dst = append(dst, `":"`...)
		dst = appendText(dst, b)
	default:
		dst = append(dst, `_base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, b)
	}
	return append(dst, '"')
}

// appendText escapes what JSON asks to, and DEL, so that a record never breaks a terminal's line.
func appendText(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
