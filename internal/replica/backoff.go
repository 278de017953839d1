package replica

import (
	"math/rand/v2"
	"time"
)

// backoff is how long something that failed is left alone: twice as long after each failure, from least to most. The zero value has not failed.
type backoff struct{ last time.Duration }

// next is the pause after one more failure. A quarter of it is a matter of luck, so that those who failed together do not come back together.
func (b *backoff) next(least, most time.Duration) time.Duration {
	b.last = min(max(2*b.last, least), most)
	return b.last - rand.N(b.last/4+1)
}

// reset forgets the failures.
func (b *backoff) reset() { b.last = 0 }
