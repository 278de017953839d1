package offsetspec

import (
	"testing"
	"time"
)

var now = time.UnixMilli(1_800_000_000_000)

func TestEveryForm(t *testing.T) {
	for s, want := range map[string]Range{
		"start":     {From: Bound{Start, 0}},
		"beginning": {From: Bound{Start, 0}},
		"end":       {From: Bound{End, 0}},
		"47":        {From: Bound{Exact, 47}},
		"+3":        {From: Bound{Start, 3}},
		"-3":        {From: Bound{End, -3}},
		"5:8":       {Bound{Exact, 5}, Bound{Exact, 8}},
		":8":        {Bound{Start, 0}, Bound{Exact, 8}},
		":end":      {Bound{Start, 0}, Bound{End, 0}},
		"-10:-2":    {Bound{End, -10}, Bound{End, -2}},
		"start:+4":  {Bound{Start, 0}, Bound{Start, 4}},
		"7:":        {Bound{Exact, 7}, Bound{End, 0}},

		"@1700000000":                        {From: Bound{Time, 1_700_000_000_000}},
		"@1700000000123":                     {From: Bound{Time, 1_700_000_000_123}},
		"s@1700000000123":                    {From: Bound{Time, 1_700_000_000_123}},
		"e@1700000000123":                    {Bound{Start, 0}, Bound{Time, 1_700_000_000_123}},
		"@2023-11-14T22:13:20Z":              {From: Bound{Time, 1_700_000_000_000}},
		"@2023-11-14T22:13:20Z:2023-11-15":   {Bound{Time, 1_700_000_000_000}, Bound{Time, 1_700_006_400_000}},
		"@2023-11-14T22:13:20:end":           {Bound{Time, 1_700_000_000_000}, Bound{End, 0}},
		"@-1h":                               {From: Bound{Time, 1_799_996_400_000}},
		"@-1h:-30m":                          {Bound{Time, 1_799_996_400_000}, Bound{Time, 1_799_998_200_000}},
		"@1700000000:@2023-11-14T22:13:21Z":  {Bound{Time, 1_700_000_000_000}, Bound{Time, 1_700_000_001_000}},
		"@2023-11-14T23:13:20+01:00:-0s":     {Bound{Time, 1_700_000_000_000}, Bound{Time, 1_800_000_000_000}},
		"@2023-11-14T22:13:20.5Z:1700000001": {Bound{Time, 1_700_000_000_500}, Bound{Time, 1_700_000_001_000}},
	} {
		if got, err := Parse(s, now); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", s, got, err, want)
		}
	}
}

func TestOtherTextIsRefused(t *testing.T) {
	for _, s := range []string{"", "stored", "1.5", "8:5", "@", "@tomorrow", "x@1700000000", "1:2:3", "@1700000001:1700000000", "99999999999999999999"} {
		if r, err := Parse(s, now); err == nil {
			t.Errorf("%q: accepted as %+v", s, r)
		}
	}
}

func TestBoundsBecomeOffsetsOfTheLog(t *testing.T) {
	for _, tc := range []struct {
		b    Bound
		want int64
	}{
		{Bound{Start, 0}, 10}, {Bound{Start, 5}, 15}, {Bound{End, 0}, 30}, {Bound{End, -5}, 25},
		{Bound{End, -50}, 10}, {Bound{Exact, 99}, 99}, {Bound{Time, 1}, 17},
	} {
		if got := tc.b.Offset(10, 30, 17); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.b, got, tc.want)
		}
	}
}

// OFS-1: no text panics, and an accepted one survives printing and reading again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"start", "-3", "5:8", "@-1h:-30m", "@2023-11-14T22:13:20Z:end", ":", "@:", "e@1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s, now)
		if err != nil {
			return
		}
		again, err := Parse(r.String(), now)
		if err != nil || again != r {
			t.Errorf("%q: %+v prints as %q, which reads as %+v, %v", s, r, r.String(), again, err)
		}
	})
}
