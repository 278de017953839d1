package replica

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// bucket says how much may be copied: rate bytes a second, with what one second brings in stock. What was copied is counted afterwards, so the stock may be
// overdrawn, and the next has to wait until that is made up for. Its zero value has no stock.
type bucket struct {
	rate  int64 // bytes a second; Unthrottled: no limit; 0: nothing
	stock float64
	at    time.Time
}

// Unthrottled is the rate that is no limit, Kafka's default.
const Unthrottled = math.MaxInt64

// fill puts in what has come since.
func (b *bucket) fill(now time.Time) {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.stock = min(b.stock+passed*float64(b.rate), float64(b.rate))
	}
	b.at = now
}

// wait is how long nothing may be copied; 0: something may.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.rate == Unthrottled {
		return 0
	}
	b.fill(now)
	switch {
	case b.rate <= 0:
		return time.Second // until somebody allows more
	case b.stock > 0:
		return 0
	}
	return time.Duration(min(-b.stock/float64(b.rate), time.Minute.Seconds())*float64(time.Second)) + time.Millisecond
}

// spend counts bytes that were copied.
func (b *bucket) spend(now time.Time, bytes int) {
	if b.rate == Unthrottled {
		return
	}
	b.fill(now)
	b.stock -= float64(bytes)
}

// Throttle is a limit of replication on this node (leader.replication.throttled.rate, follower.replication.throttled.rate), for those replicas that their topic
// names as throttled and that are not in sync. A replica that is in sync is never held up.
type Throttle struct {
	on atomic.Bool // there is a limit

	mu sync.Mutex // guards b; a leaf
	b  bucket
}

func newThrottle() *Throttle { return &Throttle{b: bucket{rate: Unthrottled}} }

// set puts a rate in force.
func (t *Throttle) set(rate int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.rate = rate
	t.on.Store(rate != Unthrottled)
}

// Wait is how long nothing may be copied that is throttled; 0: something may.
func (t *Throttle) Wait(now time.Time) time.Duration {
	if !t.on.Load() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.wait(now)
}

// Spend counts bytes that were copied of what is throttled.
func (t *Throttle) Spend(now time.Time, bytes int) {
	if !t.on.Load() || bytes == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.spend(now, bytes)
}

// LeaderThrottle limits what this node gives to followers.
func (m *Manager) LeaderThrottle() *Throttle { return m.leading }
