package main

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/histogram"
)

// load is the producing side of a benchmark: clients that together send a number of records at a rate.
//
// Latency counts from the moment a record was due, not from when there was room to send it: a broker that stalls for a
// second is charged for all records that should have gone out in that second (no coordinated omission).
type load struct {
	total   int64 // records; 0: until the context ends
	rate    float64
	start   time.Time
	value   func(due time.Time) []byte
	tickets atomic.Int64 // records begun, over all clients

	records atomic.Int64 // acknowledged
	bytes   atomic.Int64
	failure atomic.Pointer[error] // the first

	// mu guards acks, into which each client merges its histogram when it has ended.
	mu   sync.Mutex
	acks histogram.Histogram
}

// run sends from all clients until the number is reached or ctx is done, and waits for the acknowledgements.
func (l *load) run(ctx context.Context, clients []*kgo.Client, flush time.Duration) error {
	l.start = time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, cl := range clients {
		wg.Go(func() { l.send(ctx, stop, cl, flush) })
	}
	wg.Wait()
	if err := l.failure.Load(); err != nil {
		return explain(*err)
	}
	return nil
}

func (l *load) send(ctx context.Context, stop func(), cl *kgo.Client, flush time.Duration) {
	// The client calls back from one goroutine at a time; mu is for the one reader after Flush.
	var mu sync.Mutex
	var acks histogram.Histogram
	fail := func(err error) {
		l.failure.CompareAndSwap(nil, &err)
		stop()
	}
	// The end of the run must not cancel what is on its way.
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for {
		n := l.tickets.Add(1) - 1
		if l.total > 0 && n >= l.total {
			break
		}
		due, ok := l.wait(ctx, n)
		if !ok {
			break
		}
		value := l.value(due)
		cl.Produce(sendCtx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				fail(err)
				return
			}
			mu.Lock()
			acks.Record(time.Since(due))
			mu.Unlock()
			l.records.Add(1)
			l.bytes.Add(int64(len(value)))
		})
	}
	flushCtx, cancelFlush := context.WithTimeout(sendCtx, flush)
	defer cancelFlush()
	if err := cl.Flush(flushCtx); err != nil {
		fail(err)
	}
	mu.Lock()
	defer mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks.Merge(&acks)
}

// wait sleeps until record n is due and returns that moment; ok is false if ctx ended first.
func (l *load) wait(ctx context.Context, n int64) (due time.Time, ok bool) {
	now := time.Now()
	if l.rate == 0 {
		return now, ctx.Err() == nil
	}
	due = l.start.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	if early := due.Sub(now); early > 0 {
		select {
		case <-time.After(early):
		case <-ctx.Done():
		}
	}
	return due, ctx.Err() == nil
}

// hexValues returns a function that gives values of size bytes, cheaply: it rotates through a few made once.
func hexValues(size int) func() []byte {
	values := make([][]byte, 64)
	for i := range values {
		raw := make([]byte, size/2+1)
		for j := range raw {
			raw[j] = byte(rand.Uint32())
		}
		values[i] = []byte(hex.EncodeToString(raw))[:size]
	}
	var next atomic.Uint32
	return func() []byte { return values[next.Add(1)%64] }
}
