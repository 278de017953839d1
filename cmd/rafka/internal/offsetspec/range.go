package offsetspec

import (
	"strconv"
	"time"
)

// Kind tells what a Bound's number counts from.
type Kind int8

const (
	None  Kind = iota // no bound: only as the end of a Range
	Exact             // N is an offset
	Start             // N records after the log start
	End               // N (zero or negative) records before the log end
	Time              // N is a timestamp in milliseconds: the first record at or after it
)

// Bound is one end of a Range.
type Bound struct {
	Kind Kind
	N    int64
}

// Range is what to consume: from From (included) to To (excluded).
type Range struct{ From, To Bound }

// Stops reports whether the range has an end.
func (r Range) Stops() bool { return r.To.Kind != None }

// Offset turns b into an offset of a log [start, end). atTime is the offset that the broker names for a Time bound.
// The result may lie outside the log: the caller decides what to tell the user.
func (b Bound) Offset(start, end, atTime int64) int64 {
	switch b.Kind {
	case Start:
		return start + b.N
	case End:
		return max(end+b.N, start)
	case Time:
		return atTime
	}
	return b.N
}

// String is the range as Parse reads it.
func (r Range) String() string {
	switch {
	case !r.Stops():
		return r.From.String()
	case r.To.Kind == Time && r.From.Kind != Time: // only e@TIME makes these
		return "e" + r.To.String()
	}
	return r.From.String() + ":" + r.To.String()
}

// String is the bound as Parse reads it.
func (b Bound) String() string {
	switch b.Kind {
	case Exact:
		return strconv.FormatInt(b.N, 10)
	case Start:
		if b.N == 0 {
			return "start"
		}
		return "+" + strconv.FormatInt(b.N, 10)
	case End:
		if b.N == 0 {
			return "end"
		}
		return strconv.FormatInt(b.N, 10)
	case Time:
		return "@" + time.UnixMilli(b.N).UTC().Format(time.RFC3339Nano)
	}
	return ""
}
