package logtest

import (
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
)

// STO-5: the start rises to any offset, and never falls.
func trimRaises(s *suite) {
	u := s.open("t", small)
	for range 25 {
		u.append(20)
		u.trim(u.model.start + kafka.Offset(u.rng.Int64N(int64(u.model.end-u.model.start)+1)))
		u.check()
		u.trim(u.model.start - 1)
		u.trim(0)
		u.check()
	}
	if err := u.log.TrimTo(u.model.end + 1); !errors.Is(err, kafka.OffsetOutOfRange) {
		u.Errorf("trim above the end: %v", err)
	}
	u.check()
}

// A trim to the end leaves nothing, and the log goes on at its end.
func trimAll(s *suite) {
	u := s.open("t", small)
	u.append(40)
	u.trim(u.model.end)
	u.check()
	u.append(10)
	u.check()
	u.sync()
	u.check()
}
