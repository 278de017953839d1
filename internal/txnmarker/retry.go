package txnmarker

import "time"

// What fails is tried again after firstDelay, then after twice that, and so on up to maxDelay.
const (
	firstDelay = 20 * time.Millisecond
	maxDelay   = 2 * time.Second
	// warnAt is the attempt after which a failure is worth a line in the log.
	warnAt = 8
)

// delayLocked keeps a part for later.
func (s *Sender) delayLocked(p *part, why error) {
	if p.attempts == warnAt {
		s.opts.Logger.Warn("the markers of a transaction cannot be written; going on to try", "transactional_id", p.job.m.ID, "partitions", p.partitions, "err", why)
	}
	delay := min(firstDelay<<min(p.attempts-1, 10), maxDelay)
	p.due = s.opts.Now().Add(delay)
	s.delayed = append(s.delayed, p)
	s.retries.Add(1)
	s.signal()
}

// takeDue takes the parts whose time has come, and returns how long the next one has.
func (s *Sender) takeDue() (due []*part, next time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next = time.Hour
	if len(s.delayed) == 0 {
		return nil, next
	}
	now := s.opts.Now()
	later := s.delayed[:0]
	for _, p := range s.delayed {
		switch left := p.due.Sub(now); {
		case s.jobs[p.job.m.ID] != p.job:
		case left > 0:
			next = min(next, left)
			later = append(later, p)
		default:
			due = append(due, p)
		}
	}
	clear(s.delayed[len(later):])
	s.delayed = later
	return due, next
}

// revive queues what was delayed, unless its transaction is no longer coordinated here. The coordinator is asked without the lock, which
// it may want for an effect.
func (s *Sender) revive(due []*part) {
	for _, p := range due {
		here := s.opts.Coordinator.Coordinates(p.job.partition)
		s.mu.Lock()
		switch {
		case s.jobs[p.job.m.ID] != p.job:
		case here:
			s.routeLocked(p)
		default:
			delete(s.jobs, p.job.m.ID)
		}
		s.mu.Unlock()
	}
}
