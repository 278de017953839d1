package framing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Reader cuts records from a stream.
type Reader struct {
	in    *bufio.Reader
	delim []byte // not empty
	limit int    // bytes of one record, delimiter not counted
	count int64  // records returned so far
}

// NewReader cuts r at delim; no record may be longer than limit bytes. An empty delim is a programming error.
func NewReader(r io.Reader, delim []byte, limit int) *Reader {
	if len(delim) == 0 {
		panic("framing: empty delimiter")
	}
	return &Reader{in: bufio.NewReaderSize(r, 256<<10), delim: delim, limit: limit}
}

// Next returns the next record in memory of its own, or io.EOF.
func (r *Reader) Next() ([]byte, error) {
	var rec []byte
	last := r.delim[len(r.delim)-1]
	for {
		// ReadSlice stops at the delimiter's last byte; a longer delimiter is there only if rec ends with all of it.
		part, err := r.in.ReadSlice(last)
		rec = append(rec, part...)
		if err == nil && bytes.HasSuffix(rec, r.delim) {
			return r.finish(rec[:len(rec)-len(r.delim)])
		}
		if len(rec) > r.limit+len(r.delim) {
			return r.finish(rec)
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(rec) > 0:
			return r.finish(rec)
		default:
			return nil, err
		}
	}
}

func (r *Reader) finish(rec []byte) ([]byte, error) {
	r.count++
	if len(rec) > r.limit {
		return nil, fmt.Errorf("record %d of the input is longer than %d bytes: choose another --delimiter, or raise --max-message-bytes", r.count, r.limit)
	}
	return rec, nil
}

// ReadWhole reads all of r as one record of at most limit bytes.
func ReadWhole(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("the input is longer than one record of %d bytes: raise --max-message-bytes, or send it in pieces without --whole", limit)
	}
	return b, err
}
