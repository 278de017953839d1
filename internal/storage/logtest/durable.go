package logtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// OnDurable rises, reaches the end after a Sync, is never told more than Bounds says, and its calls do not overlap.
func durableRises(s *suite) {
	for _, durability := range []storage.Durability{storage.Fsync, storage.Cached} {
		var (
			mu     sync.Mutex
			told   kafka.Offset
			inside atomic.Int32
			wake   = make(chan struct{}, 1)
			u      *subject
			opened = make(chan struct{})
		)
		cfg := small
		cfg.Durability = durability
		cfg.OnDurable = func(upto kafka.Offset) {
			if inside.Add(1) != 1 {
				s.Error("OnDurable overlaps itself")
			}
			defer inside.Add(-1)
			<-opened
			if b := u.log.Bounds(); b.Durable < upto {
				s.Errorf("told %d, but bounds %+v", upto, b)
			}
			mu.Lock()
			if upto <= told {
				s.Errorf("told %d after %d", upto, told)
			}
			told = upto
			mu.Unlock()
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		u = s.open("durable"+string(rune('a'+durability)), cfg)
		close(opened)
		for range 50 {
			u.append(1 + u.rng.IntN(5))
			if u.rng.IntN(2) == 0 {
				u.sync()
			}
		}
		u.sync()
		reached := func() bool { mu.Lock(); defer mu.Unlock(); return told == u.model.end }
		for !reached() {
			select {
			case <-wake:
			case <-time.After(30 * time.Second):
				s.Fatalf("told %d, the log is durable to %d", told, u.model.end)
			}
		}
		u.check()
	}
}

func durableNothing(s *suite) {
	u := s.open("t", small)
	u.must(u.log.Sync(context.Background(), 0))
	u.append(3)
	u.sync()
	u.sync()
	u.must(u.log.Sync(context.Background(), 1))
	// Many wait for the same bytes.
	u.append(3)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := u.log.Sync(context.Background(), u.model.end); err != nil {
				u.Error(err)
			}
		})
	}
	wg.Wait()
	u.check()
}
