package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/snappy"
)

// Snappy comes in two shapes. Most clients send one raw block. Java's library (xerial) sends a header, then blocks, each behind its length:
//
//	82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version 4 | compatible version 4 | length 4 | block | length 4 | block ...   (big endian)
//
// All readers we know take both; we write the second, because it can be written as a stream.
const (
	xerialMagic  = "\x82SNAPPY\x00"
	xerialHeader = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01"
	xerialBlock  = 32 << 10
)

// snappyRatio is above what a block can expand to: its densest element makes 64 bytes out of 3. A block that claims more lies, and is
// refused before memory is reserved for it.
const snappyRatio = 22

var errSnappy = errors.New("no snappy data")

// snappyDecoder streams either shape, a block at a time.
type snappyDecoder struct {
	src    []byte // compressed, not yet read
	framed bool
	block  []byte // decompressed; block[pos:] not yet handed out
	pos    int
}

func (d *snappyDecoder) reset(src []byte) error {
	if cap(d.block) > maxKeptBuffer {
		d.block = nil
	}
	d.framed = bytes.HasPrefix(src, []byte(xerialMagic))
	d.src, d.block, d.pos = src, d.block[:0], 0
	return nil
}

func (d *snappyDecoder) Read(p []byte) (int, error) {
	for d.pos == len(d.block) {
		if len(d.src) == 0 {
			return 0, io.EOF
		}
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.block[d.pos:])
	d.pos += n
	return n, nil
}

// next decompresses the next block.
func (d *snappyDecoder) next() error {
	block := d.src
	if d.framed {
		for bytes.HasPrefix(d.src, []byte(xerialMagic)) { // streams may be concatenated
			if len(d.src) < len(xerialHeader) {
				return io.ErrUnexpectedEOF
			}
			d.src = d.src[len(xerialHeader):]
		}
		if len(d.src) == 0 {
			d.block, d.pos = d.block[:0], 0
			return nil
		}
		if len(d.src) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(d.src)
		if uint64(n) > uint64(len(d.src)-4) {
			return io.ErrUnexpectedEOF
		}
		block = d.src[4 : 4+n]
	}
	size, err := snappy.DecodedLen(block)
	if err != nil || size > snappyRatio*len(block) {
		return errSnappy
	}
	if d.block, err = snappy.Decode(d.block[:cap(d.block)], block); err != nil {
		return err
	}
	d.pos = 0
	if d.framed {
		d.src = d.src[4+len(block):]
	} else {
		d.src = nil
	}
	return nil
}

// snappyEncoder writes xerial's shape.
type snappyEncoder struct {
	w     io.Writer
	begun bool
	plain []byte // less than one block
	out   []byte
}

func (e *snappyEncoder) reset(w io.Writer) { e.w, e.begun, e.plain = w, false, e.plain[:0] }

func (e *snappyEncoder) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(xerialBlock-len(e.plain), len(p))
		e.plain = append(e.plain, p[:n]...)
		p = p[n:]
		if len(e.plain) == xerialBlock {
			if err := e.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (e *snappyEncoder) flush() error {
	e.out = e.out[:0]
	if !e.begun {
		e.out = append(e.out, xerialHeader...)
		e.begun = true
	}
	if len(e.plain) > 0 {
		start := len(e.out) + 4
		if need := start + snappy.MaxEncodedLen(len(e.plain)); cap(e.out) < need {
			e.out = append(make([]byte, 0, need), e.out...)
		}
		block := snappy.Encode(e.out[start:cap(e.out)], e.plain)
		e.out = binary.BigEndian.AppendUint32(e.out, uint32(len(block)))
		e.out = e.out[:start+len(block)] // block was encoded in place: the capacity suffices
		e.plain = e.plain[:0]
	}
	_, err := e.w.Write(e.out)
	return err
}

func (e *snappyEncoder) Close() error {
	if e.begun && len(e.plain) == 0 {
		return nil
	}
	return e.flush()
}
