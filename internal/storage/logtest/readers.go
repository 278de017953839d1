package logtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// cut is a truncation that has returned: from then on batches at or above offset are of this epoch or a later one.
type cut struct {
	offset kafka.Offset
	epoch  kafka.LeaderEpoch
}

// STO-4, STO-6: readers run beside one writer that appends, truncates, trims and rolls. Each batch carries its epoch, so that a reader
// knows a batch that was truncated before its read began.
func readersConcurrent(s *suite) {
	u := s.open("t", small)
	var (
		mu   sync.Mutex
		cuts []cut
		done = make(chan struct{})
		wg   sync.WaitGroup
	)
	for i := range 4 {
		rng := rand.New(rand.NewPCG(u.rng.Uint64(), uint64(i)))
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				past := cuts
				mu.Unlock()
				if err := readSomewhere(u.log, rng, past); err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	for range 300 {
		u.append(1 + u.rng.IntN(8))
		switch u.rng.IntN(8) {
		case 0:
			u.epoch++
			u.truncate(u.model.cutOffset(u.rng))
			mu.Lock()
			cuts = append(cuts, cut{u.model.end, u.epoch})
			mu.Unlock()
		case 1:
			u.trim(u.model.start + kafka.Offset(u.rng.Int64N(int64(u.model.end-u.model.start)/2+1)))
		case 2:
			if g, ok := u.log.(storage.Segmented); ok {
				u.must(g.Roll())
			}
		case 3:
			u.must(u.log.Sync(context.Background(), u.model.end))
		}
	}
	close(done)
	wg.Wait()
	u.check()
}

func readSomewhere(l storage.Log, rng *rand.Rand, past []cut) error {
	b := l.Bounds()
	if b.Start > b.End || b.Durable > b.End {
		return fmt.Errorf("bounds %+v", b)
	}
	if _, err := l.OffsetForTime(kafka.Timestamp(1_000_000 + rng.IntN(10_000))); err != nil {
		return err
	}
	from := b.Start + kafka.Offset(rng.Int64N(int64(b.End-b.Start)+1))
	x, err := l.Read(from, storage.ReadLimit{MaxBytes: rng.IntN(10_000), Below: kafka.NoOffset})
	if errors.Is(err, kafka.OffsetOutOfRange) || x == nil && err == nil {
		return nil // the log was trimmed or truncated meanwhile
	}
	if err != nil {
		return err
	}
	defer x.Release()
	batches, err := x.Bytes()
	if err != nil {
		return err
	}
	last := kafka.NoOffset
	for _, p := range pieces(batches) {
		if p.BaseOffset <= last || last < 0 && p.NextOffset() <= from {
			return fmt.Errorf("a read from %d has batch %s behind offset %d", from, p, last)
		}
		last = p.LastOffset()
		for _, c := range past {
			if p.BaseOffset >= c.offset && p.LeaderEpoch < c.epoch {
				return fmt.Errorf("a read that began after the log was cut to %d returned batch %s of an epoch below %d", c.offset, p, c.epoch)
			}
		}
	}
	return nil
}
