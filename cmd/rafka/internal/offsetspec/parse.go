package offsetspec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Usage lists the forms, for help texts and errors.
const Usage = `start, end, N (an offset), +N (N after the start), -N (N before the end), N:M (from N up to, not including, M; ` +
	`each side may be start, end, +N or -N), @TIME, @TIME:TIME`

// Parse reads one of the forms in Usage; kcat's s@TIME and e@TIME are known too. now is for times like @-1h.
func Parse(s string, now time.Time) (Range, error) {
	if r, ok := parseTimes(s, now); ok {
		return r, nil
	}
	from, to, isRange := strings.Cut(s, ":")
	var r Range
	var ok bool
	if r.From, ok = parseBound(from, Bound{Kind: Start}, isRange); !ok {
		return Range{}, fmt.Errorf("offset %q is none of: %s", s, Usage)
	}
	if isRange {
		if r.To, ok = parseBound(to, Bound{Kind: End}, true); !ok {
			return Range{}, fmt.Errorf("offset %q is none of: %s", s, Usage)
		}
	}
	if r.From.Kind == Exact && r.To.Kind == Exact && r.To.N < r.From.N {
		return Range{}, fmt.Errorf("offset %q ends before it begins", s)
	}
	return r, nil
}

// parseTimes reads @T, @T:T, @T:end and kcat's s@T, e@T. A time may hold colons itself, so every colon is tried as the one between.
func parseTimes(s string, now time.Time) (Range, bool) {
	prefix, times, ok := strings.Cut(s, "@")
	if !ok {
		return Range{}, false
	}
	at := func(s string) (Bound, bool) {
		t, err := ParseTime(strings.TrimPrefix(s, "@"), now)
		return Bound{Time, t.UnixMilli()}, err == nil
	}
	if whole, ok := at(times); ok {
		switch prefix {
		case "", "s":
			return Range{From: whole}, true
		case "e":
			return Range{Bound{Kind: Start}, whole}, true
		}
		return Range{}, false
	}
	if prefix != "" {
		return Range{}, false
	}
	for i := range len(times) {
		if times[i] != ':' {
			continue
		}
		from, fromOK := at(times[:i])
		to, toOK := at(times[i+1:])
		if end := times[i+1:]; end == "end" || end == "" {
			to, toOK = Bound{Kind: End}, true
		}
		if fromOK && toOK && (to.Kind == End || from.N <= to.N) {
			return Range{from, to}, true
		}
	}
	return Range{}, false
}

// parseBound reads one side; an empty one is the default where the form is a range.
func parseBound(s string, empty Bound, mayBeEmpty bool) (Bound, bool) {
	switch s {
	case "":
		return empty, mayBeEmpty
	case "start", "beginning", "earliest", "oldest":
		return Bound{Kind: Start}, true
	case "end", "latest", "newest":
		return Bound{Kind: End}, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return Bound{}, false
	}
	switch {
	case s[0] == '+':
		return Bound{Start, n}, true
	case s[0] == '-':
		return Bound{End, n}, true
	}
	return Bound{Exact, n}, true
}
