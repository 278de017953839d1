package textsrv

import (
	"bufio"
	"bytes"
	"errors"
)

const (
	readBuffer = 4 << 10
	longLine   = 64 << 10 // a line above this needs a token, see Options.LongLines
)

var errLineTooLong = errors.New("the line is too long")

// lines reads lines that end in \n or \r\n. Memory grows with what has arrived, never with what is promised.
type lines struct {
	r       *bufio.Reader
	limit   int
	partial []byte // of a line that did not fit r's buffer or was cut off by a deadline
	tooLong bool   // the line under way is being skipped
	// grow is called once when a line gets long; an error ends the reading.
	grow func() error
}

// next returns the next line without its end; it is valid until the call after. errLineTooLong: that line was skipped, the next one may
// be fine. A deadline's error loses nothing: call again. At the end of the stream an unfinished line counts as a line.
func (l *lines) next() ([]byte, error) {
	for {
		piece, err := l.r.ReadSlice('\n')
		if err == nil && len(l.partial) == 0 && !l.tooLong {
			return l.done(piece)
		}
		if werr := l.keep(piece); werr != nil {
			return nil, werr
		}
		switch {
		case err == nil:
			line, skipped := l.partial, l.tooLong
			l.reset()
			if skipped {
				return nil, errLineTooLong
			}
			return l.done(line)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		default:
			return nil, err
		}
	}
}

// rest is the unfinished line at the end of the stream, or nil.
func (l *lines) rest() []byte {
	line, skipped := l.partial, l.tooLong
	l.reset()
	if skipped || len(line) == 0 {
		return nil
	}
	return line
}

func (l *lines) underWay() bool { return len(l.partial) > 0 || l.tooLong }

func (l *lines) done(line []byte) ([]byte, error) {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(line) > l.limit {
		return nil, errLineTooLong
	}
	return line, nil
}

func (l *lines) keep(piece []byte) error {
	if l.tooLong {
		return nil
	}
	before := len(l.partial)
	if before+len(piece) > l.limit+len("\r\n") {
		l.partial, l.tooLong = nil, true
		return nil
	}
	l.partial = append(l.partial, piece...)
	if before <= longLine && len(l.partial) > longLine {
		return l.grow()
	}
	return nil
}

// reset begins a new line. The slice that was returned stays the caller's until the next call, so it is not used again.
func (l *lines) reset() { l.partial, l.tooLong = nil, false }
