package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

type indexEntry struct {
	Offset   int64 `json:"offset"`
	Position int32 `json:"position"`
}

type timeIndexEntry struct {
	Timestamp int64 `json:"timestamp"`
	Offset    int64 `json:"offset"`
}

// dumpOffsetIndex prints entries of 8 bytes: offset relative to base (int32), position in the .log file (int32).
func (d *dumper) dumpOffsetIndex(in io.Reader, base int64) error {
	last := indexEntry{Offset: -1, Position: -1}
	return eachEntry(in, 8, func(b []byte) error {
		e := indexEntry{base + int64(int32(binary.BigEndian.Uint32(b))), int32(binary.BigEndian.Uint32(b[4:]))}
		if e.Offset < base || e.Offset <= last.Offset || e.Position <= last.Position && last.Offset >= 0 {
			return fmt.Errorf("offset %d at position %d does not come after offset %d at position %d", e.Offset, e.Position, last.Offset, last.Position)
		}
		last = e
		return d.line(e, func(w io.Writer) { fmt.Fprintf(w, "offset: %d position: %d", e.Offset, e.Position) })
	})
}

// dumpTimeIndex prints entries of 12 bytes: timestamp (int64), offset relative to base (int32).
func (d *dumper) dumpTimeIndex(in io.Reader, base int64) error {
	last := timeIndexEntry{Timestamp: -1, Offset: -1}
	return eachEntry(in, 12, func(b []byte) error {
		e := timeIndexEntry{int64(binary.BigEndian.Uint64(b)), base + int64(int32(binary.BigEndian.Uint32(b[8:])))}
		if e.Offset < base || e.Offset < last.Offset || e.Timestamp < last.Timestamp {
			return fmt.Errorf("timestamp %d, offset %d does not come after timestamp %d, offset %d", e.Timestamp, e.Offset, last.Timestamp, last.Offset)
		}
		last = e
		return d.line(e, func(w io.Writer) { fmt.Fprintf(w, "timestamp: %d offset: %d", e.Timestamp, e.Offset) })
	})
}

// eachEntry calls fn for each entry of size bytes. A broker makes the index of the segment it writes to larger than it needs;
// entries of zeros after the first are that room.
func eachEntry(in io.Reader, size int, fn func([]byte) error) error {
	b := make([]byte, size)
	for n := 0; ; n++ {
		switch got, err := io.ReadFull(in, b); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("entry %d is cut off: %d of %d bytes", n, got, size)
		case err != nil:
			return err
		}
		if n > 0 && allZero(b) {
			return nil
		}
		if err := fn(b); err != nil {
			return fmt.Errorf("entry %d: %w", n, err)
		}
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
