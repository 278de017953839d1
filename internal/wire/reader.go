package wire

import "encoding/binary"

// Reader takes the protocol's primitive types from a buffer. After bytes run out or make no sense, everything reads as zero and Err tells;
// so a decoder checks once at its end, and before it reserves memory by a count. What it returns aliases the buffer.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader reads b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Err is ErrMalformed if something could not be read.
func (r *Reader) Err() error {
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// Rest is what has not been read; nil after an error.
func (r *Reader) Rest() []byte { return r.b }

// Left is how many bytes have not been read; 0 after an error.
func (r *Reader) Left() int { return len(r.b) }

func (r *Reader) fail() { r.b, r.bad = nil, true }

// Span takes n bytes.
func (r *Reader) Span(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	s := r.b[:n:n]
	r.b = r.b[n:]
	return s
}

// Int8 and the others below read big-endian integers.
func (r *Reader) Int8() int8 {
	if s := r.Span(1); s != nil {
		return int8(s[0])
	}
	return 0
}

// Int16 reads two bytes.
func (r *Reader) Int16() int16 {
	if s := r.Span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

// Int32 reads four bytes.
func (r *Reader) Int32() int32 {
	if s := r.Span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

// Int64 reads eight bytes.
func (r *Reader) Int64() int64 {
	if s := r.Span(8); s != nil {
		return int64(binary.BigEndian.Uint64(s))
	}
	return 0
}

// UUID reads sixteen bytes.
func (r *Reader) UUID() (u [16]byte) {
	copy(u[:], r.Span(16))
	return u
}

// Uvarint reads an unsigned integer of up to 32 bits, seven to a byte.
func (r *Reader) Uvarint() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

// length reads a length or a count as both encodings have it: -1 is null.
func (r *Reader) length(flexible, short bool) int {
	switch {
	case flexible:
		return int(int64(r.Uvarint()) - 1)
	case short:
		return int(r.Int16())
	default:
		return int(r.Int32())
	}
}

// NullableString reads a string; nil is null. Whoever keeps it copies it.
func (r *Reader) NullableString(flexible bool) []byte {
	n := r.length(flexible, true)
	if r.bad || n == -1 {
		return nil
	}
	if s := r.Span(n); s != nil {
		return s
	}
	return []byte{}
}

// String reads a string that may not be null.
func (r *Reader) String(flexible bool) []byte {
	s := r.NullableString(flexible)
	if s == nil {
		r.fail()
	}
	return s
}

// NullableBytes reads bytes, such as record batches; nil is null.
func (r *Reader) NullableBytes(flexible bool) []byte {
	n := r.length(flexible, false)
	if r.bad || n == -1 {
		return nil
	}
	if s := r.Span(n); s != nil {
		return s
	}
	return []byte{}
}

// Count reads the number of elements of an array, each at least minSize bytes; null counts as none. A count that the bytes left cannot
// hold is an error, so memory may be reserved for it (WIR-1).
func (r *Reader) Count(flexible bool, minSize int) int {
	n := r.length(flexible, false)
	if r.bad || n == -1 {
		return 0
	}
	if n < 0 || n > len(r.b)/minSize {
		r.fail()
		return 0
	}
	return n
}

// SkipTags passes over tagged fields and returns how many there were.
func (r *Reader) SkipTags() int { return r.Tags(nil) }

// Tags calls each for every tagged field, if it is not nil, and returns how many there were.
func (r *Reader) Tags(each func(tag uint32, value []byte)) int {
	n := int(r.Uvarint())
	if n > len(r.b)/2 { // a tag has at least a number and a size
		r.fail()
		return 0
	}
	for range n {
		tag := r.Uvarint()
		value := r.Span(int(r.Uvarint()))
		if r.bad {
			return 0
		}
		if each != nil {
			each(tag, value)
		}
	}
	return n
}
