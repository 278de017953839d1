package replica

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	// fetchPatience is how much later than asked for an answer may come before the connection counts as broken.
	fetchPatience = 10 * time.Second
	dialPatience  = 3 * time.Second
	// syncPatience is how long one partition's disk may hold up the others of the same leader; then it is set aside, and holds them up for
	// stalledPatience each time it is looked at again.
	syncPatience    = time.Second
	stalledPatience = time.Millisecond

	// A connection that broke is tried again after leastRedial to mostRedial.
	leastRedial = 20 * time.Millisecond
	mostRedial  = time.Second

	// openPatience is how long logs are opened between two fetches. The clock is looked at after each openStep of them.
	openPatience = 10 * time.Millisecond
	openStep     = 16
)

// fetcher copies from one broker what that leads and this one follows. One request is under way at a time; the next tells the leader what was appended,
// after it was made durable here.
type fetcher struct {
	set    *fetchers
	source kafka.BrokerID
	wake   chan struct{} // of one: there is something new to look at
	// waiting is for the answer of a fetch; others may interrupt it.
	waiting limit
	changed atomic.Bool  // inbox has something
	broken  atomic.Int64 // since when the source does not answer, in ns since 1970; 0: it does

	// Guarded by fetchers.mu.
	inbox   []*followed
	count   int // partitions that are followed, those in the inbox included
	nudging bool
	nudged  time.Time

	// What follows belongs to run.

	parts    map[followKey]*followed
	taken    []*followed            // of the inbox
	opening  []*followed            // fresh
	syncing  []*followed            // unsynced
	dirty    []*followed            // ready, and the leader is to be told something
	rest     []*followed            // resting
	earliest time.Time              // when the first of rest is to be tried again
	active   int                    // how many are ready
	cramped  time.Time              // when it was last looked for partitions without room
	gone     map[followKey]struct{} // no longer fetched, and in the leader's session still

	conn    FetchConn
	redial  backoff
	disk    limit // of what waits for the disk
	session session
	req     kmsg.FetchRequest
	logged  time.Time
}

func newFetcher(s *fetchers, source kafka.BrokerID) *fetcher {
	f := &fetcher{
		set: s, source: source, wake: make(chan struct{}, 1),
		parts: map[followKey]*followed{}, gone: map[followKey]struct{}{},
	}
	f.waiting.parent, f.disk.parent = s.ctx, s.ctx
	return f
}

// poke has run look around if it rests.
func (f *fetcher) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run fetches until there is nothing left to follow, or the manager closes.
func (f *fetcher) run() {
	defer f.waiting.close()
	defer f.disk.close()
	defer f.hangUp()
	for f.set.ctx.Err() == nil {
		if f.look() {
			return
		}
		now := f.set.opts.Now()
		f.revive(now)
		f.cramp(now)
		f.open(now)
		f.sync(now)
		switch {
		case f.active == 0 && len(f.opening) > 0:
		case f.active == 0:
			f.idle(f.untilEarliest(now))
		case f.conn == nil:
			f.dial(now)
		default:
			f.fetch(now)
		}
	}
}

// look takes in what Apply has told; true: there is nothing left to follow.
func (f *fetcher) look() (end bool) {
	if !f.changed.Load() {
		return false
	}
	f.taken, end = f.set.takeInbox(f, f.taken[:0])
	for _, x := range f.taken {
		switch {
		case x.over.Load():
			f.drop(x)
		case f.parts[x.key] != x:
			f.parts[x.key] = x
			f.opening = append(f.opening, x)
		case x.state == resting:
			x.until = time.Time{}
			f.earliest = time.Time{}
		}
	}
	clear(f.taken)
	return end
}

// drop forgets a partition. Lists that still have it pass over it.
func (f *fetcher) drop(x *followed) {
	f.enter(x, failed)
	if f.parts[x.key] == x {
		delete(f.parts, x.key)
	}
}

// enter changes the state of a partition. One that is no longer ready is taken out of the leader's session.
func (f *fetcher) enter(x *followed, s followState) {
	if x.state == ready && s != ready {
		f.active--
	}
	if x.state != ready && s == ready {
		f.active++
	}
	if (s == resting || s == failed) && x.told.in {
		x.told = told{}
		f.gone[x.key] = struct{}{}
	}
	x.state = s
	x.resting.Store(s == resting)
}

// idle waits until there is something new to look at, or for d if that is not negative.
func (f *fetcher) idle(d time.Duration) {
	if d < 0 {
		select {
		case <-f.wake:
		case <-f.set.ctx.Done():
		}
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.wake:
	case <-timer.C:
	case <-f.set.ctx.Done():
	}
}

// dial connects to the source, or waits before it is tried again.
func (f *fetcher) dial(now time.Time) {
	if f.set.fencedSource(f.source) {
		f.silent(now)
		f.idle(-1)
		return
	}
	ctx, cancel := context.WithTimeout(f.set.ctx, dialPatience)
	conn, err := f.set.opts.Peers.Dial(ctx, f.source)
	cancel()
	if err != nil {
		f.lost(now, err)
		return
	}
	f.conn = conn
	f.session.begin()
}

// lost ends the connection after an error and waits a little.
func (f *fetcher) lost(now time.Time, err error) {
	f.hangUp()
	if f.set.ctx.Err() != nil {
		return
	}
	f.silent(now)
	f.set.counts.failures.Add(1)
	if now.Sub(f.logged) >= complainAgain {
		f.logged = now
		f.set.opts.Logger.Warn("the leader of followed partitions cannot be reached, trying again", "broker", f.source, "partitions", len(f.parts), "err", err)
	}
	f.idle(f.redial.next(leastRedial, mostRedial))
}

// silent notes that the source does not answer.
func (f *fetcher) silent(now time.Time) { f.broken.CompareAndSwap(0, now.UnixNano()) }

func (f *fetcher) hangUp() {
	if f.conn != nil {
		_ = f.conn.Close() // it is of no more use, whatever it says
		f.conn = nil
	}
}

// fetch asks once and takes in the answer.
func (f *fetcher) fetch(now time.Time) {
	wait := f.set.opts.FetchMaxWait
	if until := f.untilEarliest(now); until >= 0 {
		wait = min(wait, until)
	}
	if len(f.opening) > 0 {
		wait = 0
	}
	ctx := f.waiting.begin(wait + fetchPatience)
	if f.changed.Load() { // told before begin, by somebody who saw nothing to interrupt
		f.waiting.end()
		return
	}
	f.build(wait)
	frame, err := f.conn.Fetch(ctx, &f.req)
	interrupted := f.waiting.end()
	if err != nil {
		if interrupted {
			f.hangUp()
			return
		}
		f.lost(f.set.opts.Now(), err)
		return
	}
	f.answered(frame.Answer())
	frame.Release()
}
