package offsetspec

import (
	"fmt"
	"strconv"
	"time"
)

// layouts of absolute times; without a zone they are UTC.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02",
}

// maxMillis keeps every accepted time within what RFC 3339 can write (the year 9999).
const maxMillis = 253402300799999

// ParseTime reads a point in time: RFC 3339, a date, seconds (up to 11 digits) or milliseconds since 1970,
// or a duration relative to now such as -1h30m.
func ParseTime(s string, now time.Time) (time.Time, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && s[0] != '+' && s[0] != '-' && n <= maxMillis {
		if len(s) <= 11 {
			return time.Unix(n, 0), nil
		}
		return time.UnixMilli(n), nil
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil && t.UnixMilli() >= 0 && t.UnixMilli() <= maxMillis {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && s[0] == '-' {
		if t := now.Add(d); t.UnixMilli() >= 0 && t.UnixMilli() <= maxMillis {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q is none of: 2026-01-31T12:00:00Z, 2026-01-31, seconds or milliseconds since 1970, or -1h (one hour ago)", s)
}
