package logtest

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// STO-2: a read from any offset begins with the batch that contains it.
func readWhole(s *suite) {
	u := s.open("t", small)
	u.append(60)
	for _, synced := range []bool{false, true} {
		for from := u.model.start; from <= u.model.end; from++ {
			_, err := u.model.compareRead(u.log, from, storage.ReadLimit{MaxBytes: u.rng.IntN(4000), Below: kafka.NoOffset})
			u.must(err)
		}
		if !synced {
			u.sync()
		}
	}
}

// STO-2: MaxBytes is kept except for one whole batch; nothing at or above Below is returned.
func readLimits(s *suite) {
	u := s.open("t", small)
	u.append(60)
	for range 500 {
		from := kafka.Offset(u.rng.Int64N(int64(u.model.end) + 1))
		lim := storage.ReadLimit{MaxBytes: u.rng.IntN(20000), Below: kafka.Offset(u.rng.Int64N(int64(u.model.end)+20) - 1)}
		if u.rng.IntN(10) == 0 {
			lim.MaxBytes = 0
		}
		_, err := u.model.compareRead(u.log, from, lim)
		u.must(err)
	}
	// A log that returns one batch at a time is within its rights, one that always does so cannot serve a fetch.
	from := u.model.end
	for range 40 {
		u.put(Batch{Base: u.model.end, Records: 1, ValueBytes: 30, Timestamp: u.now, Seed: uint64(u.model.end)}.Append(nil))
	}
	x, err := u.log.Read(from, storage.ReadLimit{MaxBytes: 4000, Below: kafka.NoOffset})
	u.must(err)
	defer x.Release()
	if x.Len() < 500 {
		u.Errorf("a read with room for 4000 bytes of small batches returned %d", x.Len())
	}
}

func readOutside(s *suite) {
	u := s.open("t", small)
	lim := storage.ReadLimit{MaxBytes: 1000, Below: kafka.NoOffset}
	for _, from := range []kafka.Offset{-1, 0, 1} {
		_, err := u.model.compareRead(u.log, from, lim)
		u.must(err)
	}
	u.append(20)
	u.trim(u.model.end / 2)
	for _, from := range []kafka.Offset{-1, 0, u.model.start - 1, u.model.end, u.model.end + 1} {
		_, err := u.model.compareRead(u.log, from, lim)
		u.must(err)
	}
}

// Offsets may have gaps, as compaction leaves them and followers copy them: a read from inside one begins with the batch behind it.
func readGaps(s *suite) {
	u := s.open("t", small)
	for range 60 {
		u.put(u.batch(u.model.end + kafka.Offset(u.rng.IntN(3)*u.rng.IntN(50))))
	}
	u.check()
	for from := u.model.start; from <= u.model.end; from++ {
		_, err := u.model.compareRead(u.log, from, storage.ReadLimit{MaxBytes: 1000, Below: kafka.NoOffset})
		u.must(err)
	}
}
