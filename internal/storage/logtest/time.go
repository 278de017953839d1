package logtest

import "github.com/rafka-io/rafka/internal/kafka"

func timeFinds(s *suite) {
	u := s.open("t", small)
	u.compareTimes(500)
	for range 10 {
		u.append(20)
		u.compareTimes(100)
		u.trim(min(u.model.start+kafka.Offset(u.rng.Int64N(10)), u.model.end))
		u.compareTimes(100)
		u.truncate(u.model.cutOffset(u.rng))
		u.compareTimes(100)
	}
}

func timeMax(s *suite) {
	u := s.open("t", small)
	u.compareMax()
	for range 20 {
		u.append(u.rng.IntN(10))
		u.compareMax()
		u.now -= 300 // so that the largest lies further back
		u.append(u.rng.IntN(10))
		u.compareMax()
		u.trim(u.model.start + kafka.Offset(u.rng.Int64N(int64(u.model.end-u.model.start)/4+1)))
		u.compareMax()
		if u.rng.IntN(3) == 0 {
			u.truncate(u.model.cutOffset(u.rng))
			u.compareMax()
		}
	}
}

func (u *subject) compareTimes(n int) {
	u.Helper()
	for range n {
		ts := kafka.Timestamp(1_000_000 - 500 + u.rng.Int64N(int64(u.now)-1_000_000+2000))
		got, err := u.log.OffsetForTime(ts)
		u.must(err)
		if want := u.model.offsetForTime(ts); got.Offset != want.Offset || want.Offset >= 0 && got != want {
			u.Fatalf("the first batch with time %d: %s, want %s; log %d..%d", ts, describe(got), describe(want), u.model.start, u.model.end)
		}
	}
}

func (u *subject) compareMax() {
	u.Helper()
	got, err := u.log.MaxTimestamp()
	u.must(err)
	if want := u.model.maxTimestamp(); got.Offset != want.Offset || want.Offset >= 0 && got != want {
		u.Fatalf("the largest time: %s, want %s; log %d..%d", describe(got), describe(want), u.model.start, u.model.end)
	}
}
