package replica

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// fetchers are the fetchers of this node, one for each broker that leads something which is followed here. Apply tells them what to follow and
// never waits for them: what a fetcher still has under way for an older leader epoch is refused by the partition (REP-2).
type fetchers struct {
	opts    *Options
	ctx     context.Context // of all fetchers
	running *sync.WaitGroup
	// throttle limits what is copied here.
	throttle *Throttle
	cramped  cramped

	mu        sync.Mutex // guards what follows and the inboxes of the fetchers; a leaf, memory work only
	started   bool
	bySource  map[kafka.BrokerID]*fetcher
	following map[*partition.Partition]*followed
	fenced    map[kafka.BrokerID]struct{} // brokers that are not worth dialling until the metadata say otherwise

	counts fetchCounts
}

// fetchCounts are what fetchers count since the start.
type fetchCounts struct {
	bytes    atomic.Int64 // of records appended here
	failures atomic.Int64 // connections that broke or were refused, and answers that were errors, one for each partition
}

func newFetchers(o *Options, ctx context.Context, running *sync.WaitGroup) *fetchers {
	return &fetchers{
		opts: o, ctx: ctx, running: running, throttle: newThrottle(),
		bySource: map[kafka.BrokerID]*fetcher{}, following: map[*partition.Partition]*followed{}, fenced: map[kafka.BrokerID]struct{}{},
	}
}

// start lets the fetchers run. They end with ctx.
func (s *fetchers) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	for _, f := range s.bySource {
		s.running.Go(f.run)
	}
}

// source is the broker from which a replica of that role fetches, NoBroker if it does not.
func (s *fetchers) source(r *partition.Role) kafka.BrokerID {
	if s.opts.Peers == nil || r.IsLeader || r.Gone != nil {
		return kafka.NoBroker
	}
	return r.Leader
}

// release ends the following of p unless it goes on unchanged in the role that it is about to get. Nothing that the fetcher has under way for p is
// appended any more.
func (s *fetchers) release(p *partition.Partition, next *partition.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.following[p]
	if was == nil || was.source == s.source(next) && was.epoch == next.Epoch {
		return
	}
	was.over.Store(true)
	delete(s.following, p)
	f := s.bySource[was.source]
	f.count--
	s.tellLocked(f, was, f.count == 0) // else the leader refuses it by itself
}

// follow has partitions fetched as their roles say. One that is followed already and rests is tried again at once.
func (s *fetchers) follow(list []*partition.Partition) {
	if s.opts.Peers == nil || len(list) == 0 {
		return
	}
	s.mu.Lock() // once for all, so that a fetcher finds in its inbox what comes together
	defer s.mu.Unlock()
	for _, p := range list {
		r := p.Role()
		if source := s.source(&r); source >= 0 {
			s.followLocked(p, source, r.Epoch)
		}
	}
}

func (s *fetchers) followLocked(p *partition.Partition, source kafka.BrokerID, epoch kafka.LeaderEpoch) {
	f := s.bySource[source]
	if x := s.following[p]; x != nil {
		if x.resting.Load() {
			s.tellLocked(f, x, true)
		}
		return
	}
	if f == nil {
		f = newFetcher(s, source)
		s.bySource[source] = f
		if s.started {
			s.running.Go(f.run)
		}
	}
	x := &followed{p: p, key: followKey{p.ID().TopicID, p.ID().Partition}, source: source, epoch: epoch}
	x.behind.Store(s.opts.Now().UnixNano())
	s.following[p] = x
	f.count++
	s.tellLocked(f, x, true)
}

// tellLocked puts x into the inbox of its fetcher. If that waits for an answer which may take long, and it is urgent, it is soon woken.
func (s *fetchers) tellLocked(f *fetcher, x *followed, urgent bool) {
	f.inbox = append(f.inbox, x)
	f.changed.Store(true)
	f.poke()
	if urgent {
		f.nudgeLocked(s.opts.Now())
	}
}

// apply takes note of the brokers that came, went and were fenced.
func (s *fetchers) apply(img *metadata.Image, changed []kafka.BrokerID) {
	if s.opts.Peers == nil || len(changed) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range changed {
		if b := img.Brokers[id]; b != nil && b.Fenced {
			s.fenced[id] = struct{}{}
			continue
		}
		delete(s.fenced, id)
		if f := s.bySource[id]; f != nil {
			f.poke()
		}
	}
}

// The nudge of a fetcher that waits for a leader with nothing new breaks its connection, since a Fetch under way cannot be taken back, and the next
// one names all its partitions. So it comes only if the answer has not come by itself after nudgeAfter, and seldom where there are many partitions.
const (
	nudgeAfter = 2 * time.Millisecond
	nudgePause = 20 * time.Millisecond
	nudgeEach  = 10 * time.Microsecond // more of a pause for each partition
)

// nudgeLocked sees to it that the fetcher looks into its inbox soon.
func (f *fetcher) nudgeLocked(now time.Time) {
	if f.nudging || !f.waiting.busy() {
		return
	}
	f.nudging = true
	wait := max(nudgeAfter, f.nudged.Add(nudgePause+time.Duration(f.count)*nudgeEach).Sub(now))
	time.AfterFunc(wait, func() {
		f.set.mu.Lock()
		defer f.set.mu.Unlock()
		f.nudging = false
		if f.changed.Load() && f.set.ctx.Err() == nil {
			f.nudged = f.set.opts.Now()
			f.waiting.interrupt()
		}
	})
}

// fencedSource reports whether the source is not worth dialling.
func (s *fetchers) fencedSource(id kafka.BrokerID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.fenced[id]
	return ok
}

// takeInbox moves what Apply told into dst. When nothing is left to follow, the fetcher is forgotten and is to end.
func (s *fetchers) takeInbox(f *fetcher, dst []*followed) (inbox []*followed, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.changed.Store(false)
	dst = append(dst, f.inbox...)
	clear(f.inbox)
	f.inbox = f.inbox[:0]
	if f.count == 0 {
		delete(s.bySource, f.source)
		return dst, true
	}
	return dst, false
}
