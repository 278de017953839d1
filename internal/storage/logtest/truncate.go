package logtest

// STO-4: a truncation cuts every batch that reaches to the target, also the one in whose middle it lies.
func truncateCuts(s *suite) {
	u := s.open("t", small)
	for range 20 {
		u.append(40)
		if u.rng.IntN(2) == 0 {
			u.sync()
		}
		u.truncate(u.model.cutOffset(u.rng))
		u.check()
	}
	u.truncate(u.model.end)
	u.truncate(u.model.end + 10)
	u.check()
	u.truncate(0)
	u.check()
	u.append(5)
	u.sync()
	u.check()
}

// STO-4: after a truncation other bytes take the offsets, and readers see only those.
func truncateReplaces(s *suite) {
	u := s.open("t", small)
	u.append(30)
	for range 30 {
		u.truncate(u.model.cutOffset(u.rng))
		u.epoch++
		u.append(1 + u.rng.IntN(20))
		if u.rng.IntN(3) == 0 {
			u.sync()
		}
		u.check()
	}
}
