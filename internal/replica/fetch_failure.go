package replica

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	// A partition that failed rests for leastRest to mostRest.
	leastRest = 20 * time.Millisecond
	mostRest  = time.Second
	// complainAgain is how long a fetcher does not repeat what it said of a leader or of a disk.
	complainAgain = time.Minute
)

// open finds out where logs end that are new here, for openPatience at most: those that are open already do not wait for ten thousand others.
func (f *fetcher) open(now time.Time) {
	for n := 1; len(f.opening) > 0; n++ {
		last := len(f.opening) - 1
		x := f.opening[last]
		f.opening[last] = nil
		f.opening = f.opening[:last]
		switch {
		case f.parts[x.key] != x || x.over.Load():
		case f.set.isCramped(x):
			f.waitForRoom(x, now)
		default:
			f.moved(x, now)
		}
		if n%openStep == 0 && f.set.opts.Now().Sub(now) > openPatience {
			return
		}
	}
}

// sync makes durable what was appended. One commit of the engine covers all logs, so that the first wait is the only one as a rule.
func (f *fetcher) sync(now time.Time) {
	if len(f.syncing) == 0 {
		return
	}
	for _, x := range f.syncing {
		if x.state != unsynced || x.over.Load() {
			continue
		}
		patience := syncPatience
		if x.stall {
			patience = stalledPatience
		}
		err := x.p.SyncFollower(f.disk.begin(patience), x.point.Offset)
		f.disk.end()
		if x.stall = err != nil; x.stall {
			f.failed(x, err, now)
			continue
		}
		f.enter(x, ready)
		f.mark(x)
	}
	clear(f.syncing)
	f.syncing = f.syncing[:0]
}

// failed leaves a partition alone after an error on this side. One whose log is broken is not tried again in this epoch (REP-3).
func (f *fetcher) failed(x *followed, err error, now time.Time) {
	switch {
	case f.set.ctx.Err() != nil, x.over.Load():
		f.drop(x)
	case x.p.Failed() != nil:
		f.enter(x, failed)
		x.fell(now)
		f.set.opts.Logger.Error("a followed partition is set aside because its log failed: see to its disk and restart the broker", "log", x.p.ID().String(), "err", err)
	default:
		if now.Sub(f.logged) >= complainAgain {
			f.logged = now
			f.set.opts.Logger.Error("records of a followed partition cannot be stored, trying again", "log", x.p.ID().String(), "err", err)
		}
		f.setAside(x, now)
	}
}

// refused leaves a partition alone after its leader answered an error. Most often one of both has not heard yet what the other knows.
func (f *fetcher) refused(x *followed, code kafka.ErrorCode, now time.Time) {
	f.set.counts.failures.Add(1)
	f.set.opts.Logger.Debug("the leader refuses a fetch, trying again", "log", x.p.ID().String(), "broker", f.source, "epoch", x.epoch, "err", code)
	f.setAside(x, now)
}

// setAside lets a partition rest.
func (f *fetcher) setAside(x *followed, now time.Time) {
	x.fell(now)
	f.restUntil(x, now.Add(x.pause.next(leastRest, mostRest)))
}

// hold counts what was copied of a throttled replica that is not in sync, and lets it rest if that was more than may be copied.
func (f *fetcher) hold(x *followed, bytes int, now time.Time) {
	t := f.set.throttle
	if bytes == 0 || x.lag.Load() == 0 || !x.p.Settings().FollowerThrottled.Has(x.key.partition, int32(f.set.opts.NodeID)) {
		return
	}
	t.Spend(now, bytes)
	if wait := t.Wait(now); wait > 0 {
		f.restUntil(x, now.Add(wait))
	}
}

// restUntil leaves a partition alone for a time.
func (f *fetcher) restUntil(x *followed, until time.Time) {
	f.enter(x, resting)
	x.until = until
	if len(f.rest) == 0 || until.Before(f.earliest) {
		f.earliest = until
	}
	f.rest = append(f.rest, x)
}

// revive tries those again that have rested.
func (f *fetcher) revive(now time.Time) {
	if len(f.rest) == 0 || now.Before(f.earliest) {
		return
	}
	kept := f.rest[:0]
	for _, x := range f.rest {
		switch {
		case x.state != resting || f.parts[x.key] != x:
		case now.Before(x.until):
			if len(kept) == 0 || x.until.Before(f.earliest) {
				f.earliest = x.until
			}
			kept = append(kept, x)
		default:
			f.enter(x, fresh)
			f.opening = append(f.opening, x)
		}
	}
	clear(f.rest[len(kept):])
	f.rest = kept
}

// untilEarliest is how long until something that rests is to be tried again; -1: nothing rests.
func (f *fetcher) untilEarliest(now time.Time) time.Duration {
	if len(f.rest) == 0 {
		return -1
	}
	return max(f.earliest.Sub(now), 0)
}
