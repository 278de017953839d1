package wire

import "encoding/binary"

// AppendInt8 and the others below append big-endian integers.
func AppendInt8(dst []byte, v int8) []byte { return append(dst, byte(v)) }

// AppendInt16 appends two bytes.
func AppendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }

// AppendInt32 appends four bytes.
func AppendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }

// AppendInt64 appends eight bytes.
func AppendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// AppendUvarint appends seven bits a byte.
func AppendUvarint(dst []byte, v uint32) []byte { return binary.AppendUvarint(dst, uint64(v)) }

// AppendCount appends the number of elements of an array, or of bytes.
func AppendCount(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return AppendUvarint(dst, uint32(n)+1)
	}
	return AppendInt32(dst, int32(n))
}

// maxString is the longest string that the old encoding can hold.
const maxString = 1<<15 - 1

// AppendString appends a string that is not null. Longer than 32,767 bytes it is cut: only messages of ours can be, names cannot.
func AppendString[S ~string | ~[]byte](dst []byte, s S, flexible bool) []byte {
	s = s[:min(len(s), maxString)]
	if flexible {
		dst = AppendUvarint(dst, uint32(len(s))+1)
	} else {
		dst = AppendInt16(dst, int16(len(s)))
	}
	return append(dst, s...)
}

// AppendNull appends a string that is null.
func AppendNull(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return AppendInt16(dst, -1)
}

// AppendNoTags ends a structure without tagged fields, if flexible.
func AppendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}
