package peer

import "time"

const (
	// breakerFailures in breakerWindow open a breaker.
	breakerFailures = 3
	breakerWindow   = 10 * time.Second
	// Once open, a breaker lets one dial through after half to all of a wait, which doubles with each that fails.
	firstWait   = 100 * time.Millisecond
	longestWait = 2 * time.Second
)

// breaker keeps calls to a broker that cannot be reached from waiting for dials that fail. It is closed (dials are made), open (none is)
// or on trial (one is). Its owner's lock guards it.
type breaker struct {
	failures int // since first, while closed
	first    time.Time
	wait     time.Duration // 0: closed
	until    time.Time     // open until then
	trial    bool          // a dial is under way that decides
	addrs    string        // the addresses it knows
}

// about tells the addresses that are dialled from now on: what is known of others says nothing of them. A trial goes on.
func (b *breaker) about(addrs string) {
	if addrs != b.addrs {
		*b = breaker{addrs: addrs}
	}
}

// allow reports whether a dial may be made; trial goes back to worked, failed or gaveUp. If it may not, left says for how long; 0: until
// the trial that is under way has ended.
func (b *breaker) allow(now time.Time) (trial, ok bool, left time.Duration) {
	switch {
	case b.wait == 0:
		return false, true, 0
	case now.Before(b.until):
		return false, false, b.until.Sub(now)
	case b.trial:
		return false, false, 0
	}
	b.trial = true
	return true, true, 0
}

// worked closes the breaker.
func (b *breaker) worked() { *b = breaker{addrs: b.addrs} }

// failed counts a dial that failed. dice is in [0,1).
func (b *breaker) failed(now time.Time, trial bool, dice float64) {
	switch {
	case b.wait > 0 && !trial: // begun before it opened
		return
	case b.wait > 0:
		b.trial = false
		b.wait = min(2*b.wait, longestWait)
	default:
		if b.failures == 0 || now.Sub(b.first) > breakerWindow {
			b.failures, b.first = 0, now
		}
		if b.failures++; b.failures < breakerFailures {
			return
		}
		b.wait = firstWait
	}
	b.until = now.Add(b.wait/2 + time.Duration(dice*float64(b.wait/2)))
}

// gaveUp notes that a dial ended and told nothing: nobody waited for it any more.
func (b *breaker) gaveUp(trial bool) {
	if trial {
		b.trial = false
	}
}
