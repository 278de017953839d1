package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// seekWhere are the flags that say where to; exactly one is given.
type seekWhere struct {
	earliest, latest, current bool
	datetime, duration, file  string
	shift, offset             int64
	to                        string // rpk's way
}

func (w *seekWhere) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&w.earliest, "to-earliest", false, "to the start of each partition")
	f.BoolVar(&w.latest, "to-latest", false, "to the end of each partition")
	f.BoolVar(&w.current, "to-current", false, "to where the group is")
	f.StringVar(&w.datetime, "to-datetime", "", "to the first record at or after this `TIME`")
	f.StringVar(&w.duration, "by-duration", "", "to the first record of the last `DURATION`, as in PT1H or 90m")
	f.Int64Var(&w.shift, "shift-by", 0, "`N` records on, or back if negative")
	f.Int64Var(&w.offset, "to-offset", 0, "to the offset `N`")
	f.StringVar(&w.file, "from-file", "", "to the offsets in this CSV `FILE`; - is stdin")
	f.StringVar(&w.to, "to", "", "start, end or a `TIME`: the same as --to-earliest, --to-latest, --to-datetime")
}

// seekKind is what a target counts from.
type seekKind int8

const (
	seekEarliest seekKind = iota + 1
	seekLatest
	seekCurrent
	seekTime
	seekShift
	seekOffset
	seekFile
)

// seekTarget is where the partitions go.
type seekTarget struct {
	kind seekKind
	n    int64                    // an offset, how far, or milliseconds since 1970
	file map[topicPartition]int64 // of seekFile
}

// target reads the flags; changed tells which were given.
func (w *seekWhere) target(changed func(flag string) bool, now time.Time) (t seekTarget, err error) {
	given := 0
	for _, flag := range []string{"to-earliest", "to-latest", "to-current", "to-datetime", "by-duration", "shift-by", "to-offset", "from-file", "to"} {
		if changed(flag) {
			given++
		}
	}
	if given != 1 {
		return t, usagef("say where to, once: --to-earliest, --to-latest, --to-current, --to-datetime, --by-duration, --shift-by, --to-offset or --from-file")
	}
	switch {
	case w.earliest, w.to == "start":
		return seekTarget{kind: seekEarliest}, nil
	case w.latest, w.to == "end":
		return seekTarget{kind: seekLatest}, nil
	case w.current:
		return seekTarget{kind: seekCurrent}, nil
	case changed("to-datetime"), w.to != "":
		flag, value := "to-datetime", w.datetime
		if w.to != "" {
			flag, value = "to", w.to
		}
		at, err := offsetspec.ParseTime(value, now)
		if err != nil {
			return t, usagef("--%s: %w", flag, err)
		}
		return seekTarget{kind: seekTime, n: at.UnixMilli()}, nil
	case changed("by-duration"):
		d, err := parseSpan(w.duration)
		if err != nil {
			return t, usagef("--by-duration: %w", err)
		}
		return seekTarget{kind: seekTime, n: max(0, now.Add(-d).UnixMilli())}, nil
	case changed("shift-by"):
		return seekTarget{kind: seekShift, n: w.shift}, nil
	case changed("to-offset"):
		if w.offset < 0 {
			return t, usagef("--to-offset must not be negative")
		}
		return seekTarget{kind: seekOffset, n: w.offset}, nil
	case changed("from-file") && w.file != "":
		return seekTarget{kind: seekFile}, nil
	}
	return t, usagef("say where to: a flag is set to false or empty")
}

// isoSpan is a duration as ISO 8601 and Kafka's tools write it, as far as its length is certain (days, not months).
var isoSpan = regexp.MustCompile(`^P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$`)

// parseSpan reads PT1H30M, P7D, 90m, 1h30m.
func parseSpan(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	m := isoSpan.FindStringSubmatch(s)
	if m == nil || s == "P" || s[len(s)-1] == 'T' {
		return 0, fmt.Errorf("duration %q is none of: PT1H30M, P7D, 90m, 1h30m", s)
	}
	var total float64 // seconds
	for i, unit := range []float64{7 * 86400, 86400, 3600, 60, 1} {
		if m[i+1] != "" {
			n, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				return 0, err
			}
			total += n * unit
		}
	}
	if total > 100*365*86400 {
		return 0, fmt.Errorf("duration %q is longer than a hundred years", s)
	}
	return time.Duration(total * float64(time.Second)), nil
}
