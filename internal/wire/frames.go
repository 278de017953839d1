package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// peekSize is what a connection keeps to read into while it is idle. Most requests other than produce fit, so that they cost one
// read; a client that claims a huge frame and sends less than this holds nothing else.
const peekSize = 1024

// MinFrame is the smallest possible request in bytes: a header with key, version and correlation id.
const MinFrame = 8

// ErrFrameSize says that a frame claims to be smaller than a header or larger than its limit.
var ErrFrameSize = errors.New("frame size")

// ReadState is what a FrameReader is doing.
type ReadState int32

const (
	BetweenFrames ReadState = iota // nothing of the next frame has come
	InFrame                        // a part has come
	AtGate                         // waiting for the server's memory: the peer is not to blame
)

// FrameReader reads the frames of one connection. One goroutine calls Next; Progress may be called by any.
type FrameReader struct {
	src    io.Reader
	budget *Budget
	limit  func(key int16) int
	shown  int // bytes: the largest frame that the connection has sent; so much is reserved at once

	received atomic.Uint64
	frames   atomic.Uint64
	state    atomic.Int32

	r, w int // peek[r:w] has been read from src and not been used
	peek [peekSize]byte
}

// NewFrameReader reads frames from src. limit is asked, once per frame, how large a frame of that API key may be; it is capped by the
// budget's MaxFrame.
func NewFrameReader(src io.Reader, budget *Budget, limit func(key int16) int) *FrameReader {
	return &FrameReader{src: src, budget: budget, limit: limit}
}

// Progress tells what the reader is doing, how many bytes have come and how many frames were completed. Who looks twice can tell a slow
// peer from an idle one without a clock in here.
func (fr *FrameReader) Progress() (state ReadState, received, frames uint64) {
	return ReadState(fr.state.Load()), fr.received.Load(), fr.frames.Load()
}

// Next returns the next frame, which is the caller's to Release. The error is io.EOF when the peer closed between frames,
// io.ErrUnexpectedEOF within one, ErrFrameSize, ErrGateClosed when done was closed, or src's. After an error there is no next frame.
func (fr *FrameReader) Next(done <-chan struct{}) (*Frame, error) {
	if fr.w == fr.r {
		fr.state.Store(int32(BetweenFrames))
	} else {
		fr.state.Store(int32(InFrame))
	}
	if err := fr.fill(6); err != nil {
		if errors.Is(err, io.EOF) && fr.w > fr.r {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	claim := binary.BigEndian.Uint32(fr.peek[fr.r:])
	key := int16(binary.BigEndian.Uint16(fr.peek[fr.r+4:]))
	limit := min(fr.limit(key), fr.budget.MaxFrame())
	if claim < MinFrame || claim > uint32(limit) {
		return nil, frameSizeError(int32(claim), key, limit)
	}
	f, err := fr.body(done, int(claim))
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	fr.shown = max(fr.shown, len(f.buf))
	fr.frames.Add(1)
	return f, nil
}

// frameSizeError is apart because connections wait in Next, and its frame on the stack is better small.
//
//go:noinline
func frameSizeError(claim int32, key int16, limit int) error {
	return fmt.Errorf("%w: %d bytes for API key %d, allowed are %d to %d", ErrFrameSize, claim, key, MinFrame, limit)
}

// body reads claim bytes, of which the first two are in peek behind the length.
func (fr *FrameReader) body(done <-chan struct{}, claim int) (*Frame, error) {
	if err := fr.fill(min(4+claim, peekSize)); err != nil {
		return nil, err
	}
	fr.r += 4
	room := min(claim, max(fr.shown, 2*peekSize))
	var l lease
	f := newFrame(room)
	fr.state.Store(int32(AtGate))
	if err := l.acquire(done, fr.budget, claim, cap(f.buf)); err != nil {
		f.free()
		return nil, err
	}
	f.lease = l
	fr.state.Store(int32(InFrame))
	n := copy(f.buf[:min(claim, cap(f.buf))], fr.peek[fr.r:fr.w])
	f.buf = f.buf[:n]
	fr.r += n
	for len(f.buf) < claim {
		if len(f.buf) == cap(f.buf) {
			var err error
			if f, err = fr.grow(done, f, claim); err != nil {
				return nil, err
			}
		}
		n, err := fr.src.Read(f.buf[len(f.buf):min(claim, cap(f.buf))])
		fr.received.Add(uint64(n))
		f.buf = f.buf[:len(f.buf)+n]
		if err != nil && len(f.buf) < claim {
			f.Release()
			return nil, err
		}
	}
	return f, nil
}

// grow moves a full frame into one of twice its size.
func (fr *FrameReader) grow(done <-chan struct{}, f *Frame, claim int) (*Frame, error) {
	room := min(claim, 2*cap(f.buf))
	fr.state.Store(int32(AtGate))
	if err := f.lease.extend(done, sizeOfClass(classOf(room))); err != nil {
		f.Release()
		return nil, err
	}
	fr.state.Store(int32(InFrame))
	bigger := newFrame(room)
	bigger.buf = append(bigger.buf, f.buf...)
	bigger.lease, f.lease = f.lease, lease{}
	f.free()
	return bigger, nil
}

// fill reads until peek holds n bytes, n <= peekSize. A single read takes as much as there is room for.
func (fr *FrameReader) fill(n int) error {
	if fr.w-fr.r >= n {
		return nil
	}
	if fr.r > 0 {
		fr.w = copy(fr.peek[:], fr.peek[fr.r:fr.w])
		fr.r = 0
	}
	for fr.w < n {
		got, err := fr.src.Read(fr.peek[fr.w:])
		fr.w += got
		fr.received.Add(uint64(got))
		if fr.w > 0 {
			fr.state.Store(int32(InFrame))
		}
		if err != nil && fr.w < n {
			return err
		}
	}
	return nil
}
