package queue

import (
	"context"
	"errors"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// recheck is how long to wait before asking again for a state that the share coordinator could not give yet.
const recheck = 100 * time.Millisecond

// leastShare is the smallest share of an answer that a partition gets while there is as much.
const leastShare = 128 << 10

// run looks for records until there are some, the time is up or ctx ends.
func (f *fetch) run(ctx context.Context) {
	if len(f.slots) == 0 {
		return
	}
	f.waiter, f.data = newWaiter(), partition.NewFetchWaiter()
	f.m.waiting.add(1)
	defer f.m.waiting.add(-1)
	defer f.leave()
	timer := time.NewTimer(f.wait)
	defer timer.Stop()
	for late := f.wait == 0; ; {
		if f.look(ctx, late) || late {
			return
		}
		if f.again {
			select {
			case <-timer.C:
				return
			default:
				continue
			}
		}
		if f.freed != nil || f.register() {
			late = f.sleep(ctx, timer)
		}
		f.data.Stop()
	}
}

// register puts the fetch on the logs of its partitions; false: it is time to look again.
func (f *fetch) register() bool {
	f.data.Start(f.missing, len(f.slots))
	for i := range f.slots {
		s := &f.slots[i]
		if s.saw && !f.data.Await(s.sp.log, s.upto, &s.seen) {
			return false
		}
	}
	return true
}

// sleep waits for something to happen. late: there is no more time.
func (f *fetch) sleep(ctx context.Context, timer *time.Timer) (late bool) {
	var absent <-chan time.Time
	if f.absent {
		t := time.NewTimer(recheck)
		defer t.Stop()
		absent = t.C
	}
	select {
	case <-f.waiter.woken:
	case <-f.data.Done():
	case <-f.freed:
	case <-absent:
	case <-timer.C:
		return true
	case <-ctx.Done():
		return true
	case <-f.m.ctx.Done():
		return true
	}
	return false
}

// leave takes the fetch out of all lines.
func (f *fetch) leave() {
	for i := range f.slots {
		if s := &f.slots[i]; s.sp != nil {
			s.sp.leave(&s.place, len(s.taken.ranges) > 0)
		}
	}
}

// look goes through the partitions once and reports whether that is an answer: there are records, or something that the client should know
// at once.
func (f *fetch) look(ctx context.Context, late bool) (enough bool) {
	f.absent, f.again = false, false
	for i := range f.slots { // those that are not here yet are loaded at the same time
		if s := &f.slots[i]; s.sp == nil {
			_, _ = f.m.entry(partitionKey{f.key.group, s.tp}, true) // enter tells of errors
		}
	}
	for i := range f.slots {
		s := &f.slots[i]
		f.enter(ctx, s)
		enough = enough || s.err != nil
	}
	if ctx.Err() != nil {
		return true // nobody is there to take records
	}
	f.missing = 1
	if f.minBytes > 1 && !late && !enough {
		if f.missing = f.minBytes - f.available(); f.missing > 0 {
			return false
		}
	}
	granted, freed := f.m.room.take(f.maxBytes)
	if f.freed = freed; freed != nil {
		return enough
	}
	left, want, total := granted, f.records, 0
	for i := range f.slots {
		s := &f.slots[i]
		if s.sp == nil || s.err != nil || want <= 0 || total > 0 && left <= 0 {
			continue
		}
		// What is left is shared out evenly, in shares that batches fit into; what a partition does not use is there for the next ones.
		most := max(left/(len(f.slots)-i), min(left, leastShare))
		n, err := s.sp.take(s, share.Ask{Member: f.key.member, Max: want, WholeBatches: f.whole, BatchSize: f.batchSize}, most, total == 0)
		switch {
		case errors.Is(err, errGone): // and with it the hold on what it gave
			s.taken, n = taken{}, 0
			f.again = true
		case err != nil && n == 0: // otherwise the next fetch is told
			s.err = err
		}
		f.again = f.again || s.taken.more
		want -= n
		left -= len(s.taken.records)
		total += len(s.taken.records)
		enough = enough || n > 0 || s.err != nil
	}
	f.m.room.settle(granted, int64(total))
	return enough
}

// enter finds the share partition of a slot and gets in line there.
func (f *fetch) enter(ctx context.Context, s *slot) {
	sp, err := f.m.find(ctx, partitionKey{f.key.group, s.tp})
	if s.sp != sp && s.sp != nil {
		s.sp.leave(&s.place, true)
		s.sp, s.saw = nil, false
	}
	switch {
	case err == nil:
		s.sp = sp
		f.again = !sp.enter(&s.place, f.waiter) || f.again
	case kafka.CodeOf(err) == kafka.CoordinatorNotAvailable || kafka.CodeOf(err) == kafka.RequestTimedOut:
		f.absent = true // as in Kafka the client is told nothing: it asks again
	default:
		s.err = err
	}
}

// available is how many bytes could be had, as far as that can be said without taking them; no more than is asked for.
func (f *fetch) available() (bytes int) {
	for i := range f.slots {
		if s := &f.slots[i]; s.sp != nil && s.err == nil && bytes < f.minBytes {
			bytes += s.sp.peek(s, f.minBytes-bytes)
		}
	}
	return bytes
}

// bytes is what the answer holds.
func (f *fetch) bytes() (n int64) {
	for i := range f.slots {
		n += int64(len(f.slots[i].taken.records))
	}
	return n
}
