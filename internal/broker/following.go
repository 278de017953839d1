package broker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// Following is what one follower fetches from this broker again and again: the partitions of its fetch session, and what it was told of each last. A
// fetch with it looks only at the partitions of which there may be news, and answers only those of which there is. A session of ten thousand partitions
// of which one is written to costs as much as a session of one.
//
// So that a follower counts as being there also where nothing is written (isr), and that nothing rests on a signal alone, every fetch looks at some others as
// well, in turn: all of them once in sweepEvery, and all of them each time where they are few.
//
// Close ends it. Calls may overlap, but of two fetches under way each is given a part of the news only.
type Following struct {
	news *partition.News

	mu     sync.Mutex // guards what follows, for memory work; partitions' locks of waiting are taken under it
	byKey  map[followKey]*followed
	all    []*followed
	cursor int       // where the next look at the others begins
	swept  time.Time // when the last one was
	closed bool
}

const (
	// sweepEvery is in what time every partition of a session is looked at, with news or without; much less than replica.lag.time.max.ms.
	sweepEvery = 500 * time.Millisecond
	// sweepLeast is how many of them a fetch looks at in any case.
	sweepLeast = 64
)

// followKey names a partition as the follower does.
type followKey struct {
	topic     string
	id        kafka.UUID
	partition int32
}

// followed is a partition of a session.
type followed struct {
	at    int // in Following.all
	ask   FetchPartition
	told  told
	news  partition.Subscription
	found *partition.Partition // to which news is subscribed; nil: to be looked for
	by    *followAwait         // the fetch that has it in hand
	again bool                 // it was noted while another fetch had it in hand
}

// told are the offsets that a follower was told last.
type told struct{ highWatermark, logStart kafka.Offset }

// untold is no offset, not even the one that stands for none: whatever comes next is news.
const untold = kafka.NoOffset - 1

// NewFollowing returns a session of no partition.
func NewFollowing() *Following {
	return &Following{news: partition.NewNews(), byKey: map[followKey]*followed{}}
}

func (at *FetchPartition) key() followKey { return followKey{at.Topic, at.TopicID, at.Partition} }

// Put adds a partition, or changes what is asked of it. The next fetch looks at it.
func (s *Following) Put(at FetchPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	x := s.byKey[at.key()]
	if x == nil {
		x = &followed{at: len(s.all), told: told{untold, untold}}
		x.news.Owner = x
		s.byKey[at.key()] = x
		s.all = append(s.all, x)
	}
	x.ask = at
	s.news.Note(&x.news)
}

// Remove forgets a partition.
func (s *Following) Remove(topic string, id kafka.UUID, partition int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := followKey{topic, id, partition}
	x := s.byKey[key]
	if x == nil {
		return
	}
	x.news.Stop()
	delete(s.byKey, key)
	last := len(s.all) - 1
	s.all[x.at], s.all[last].at = s.all[last], x.at
	s.all[last] = nil
	s.all = s.all[:last]
	x.at = -1
}

// Len is how many partitions there are.
func (s *Following) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// Close ends the session: no partition knows it any more.
func (s *Following) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		x.news.Stop()
		x.at = -1
	}
	clear(s.byKey)
	s.all, s.closed = nil, true
}

// Asked is what is asked of all partitions, with the high watermarks that were told.
func (s *Following) Asked() []FetchPartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]FetchPartition, len(s.all))
	for i, x := range s.all {
		list[i] = x.ask
		list[i].KnownHW = x.told.highWatermark
	}
	return list
}

// Tell reports whether a result is news to the follower, and remembers that it was told. An error is told each time.
func (s *Following) Tell(at *FetchPartition, r *FetchResult) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.byKey[at.key()]
	return x != nil && x.tellLocked(r)
}

func (x *followed) tellLocked(r *FetchResult) bool {
	news := isNews(x.told, r)
	x.told = told{r.HighWatermark, r.LogStart}
	if r.Err != nil {
		x.told.highWatermark = untold
	}
	return news
}

// isNews reports whether a follower that was told was is to be told r.
func isNews(was told, r *FetchResult) bool {
	return r.Err != nil || r.Diverging != nil || r.Records != nil && r.Records.Len() > 0 ||
		was != told{r.HighWatermark, r.LogStart}
}

// gather appends what a fetch is to look at now to its slots: what is noted, and with sweep some others.
func (s *Following) gather(a *followAwait, sweep bool, now time.Time) {
	a.noted = s.news.Take(a.noted[:0])
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range a.noted {
		if x := n.Owner.(*followed); x.at >= 0 {
			a.takeLocked(x)
		}
	}
	clear(a.noted)
	if !sweep || len(s.all) == 0 {
		return
	}
	part := now.Sub(s.swept).Seconds() / sweepEvery.Seconds()
	n := min(max(int(float64(len(s.all))*min(part, 1)), sweepLeast), len(s.all))
	s.swept = now
	for range n {
		if s.cursor++; s.cursor >= len(s.all) {
			s.cursor = 0
		}
		a.takeLocked(s.all[s.cursor])
	}
}

// takeLocked takes a partition in hand, unless a fetch has it: then that one looks at it, or it is noted when that one ends.
func (a *followAwait) takeLocked(x *followed) {
	if x.by != nil {
		x.again = x.again || x.by != a
		return
	}
	x.by = a
	a.slots = append(a.slots, followSlot{x: x, ask: x.ask, told: x.told, p: x.found})
}

// followAwait is a fetch of a session under way. It goes back to the pool at the end of Wait; only the results leave it.
type followAwait struct {
	b       *Broker
	timer   *time.Timer // stopped between requests
	req     *FetchRequest
	refused error // why the asker is no follower
	slots   []followSlot
	noted   []*partition.Subscription
	freed   <-chan struct{} // not nil: the last read found no room; closed when there may be some
	rose    bool            // there is an offset to tell
}

// mostPooledSlots is how many partitions a pooled followAwait keeps room for.
const mostPooledSlots = 128

func newFollowAwait(b *Broker) *followAwait {
	t := time.NewTimer(maxFetchWait)
	t.Stop()
	return &followAwait{b: b, timer: t}
}

// followSlot is a partition in hand.
type followSlot struct {
	x      *followed
	ask    FetchPartition
	told   told
	p      *partition.Partition
	result FetchResult
	more   bool // there are records that did not fit
}

// Wait implements Await. It sets req.Partitions to what the results are of.
func (a *followAwait) Wait(ctx context.Context) []FetchResult {
	s, wait := a.req.Following, min(a.req.MaxWait, maxFetchWait)
	s.gather(a, true, a.b.opts.Now())
	if a.refused != nil {
		a.refuse()
		return a.finish()
	}
	defer a.b.opts.Replicas.Heard(a.req.ReplicaID) // it has waited here, and is not silent before it could have asked again
	if a.read() || wait <= 0 {
		return a.finish()
	}
	// Until the first look nobody is woken because an offset has moved: where much is written, it moves with each record, and the next record comes first.
	pause := min(firstLook, wait)
	a.timer.Reset(pause)
	var later <-chan struct{}
	var look *time.Timer // when to answer that there is an offset to tell
	for late := false; !late; {
		told := false
		select {
		case <-s.news.Urgent():
		case <-later:
		case <-a.freed:
		case <-timerOf(look):
			told, look = true, nil
		case <-a.timer.C:
			if wait -= pause; wait <= 0 {
				late = true
				break
			}
			told, later, pause = true, s.news.Later(), wait
			a.timer.Reset(pause)
		case <-ctx.Done():
			late = true
		}
		s.gather(a, false, time.Time{})
		if a.read() || told && a.rose {
			break
		}
		if a.rose && later != nil && look == nil {
			look = time.NewTimer(firstLook)
			defer look.Stop()
		}
	}
	return a.finish()
}

// timerOf is the channel of a timer, if there is one.
func timerOf(t *time.Timer) <-chan time.Time {
	if t == nil {
		return nil
	}
	return t.C
}

// refuse answers all partitions with the error.
func (a *followAwait) refuse() {
	s := a.req.Following
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		a.takeLocked(x)
	}
	for i := range a.slots {
		a.slots[i].result = fetched(partition.Read{HighWatermark: kafka.NoOffset, LastStable: kafka.NoOffset, LogStart: kafka.NoOffset}, a.refused)
	}
}

// read reads what is in hand and reports whether that is an answer; what has no news is let go. Nothing is held if it is not.
func (a *followAwait) read() (enough bool) {
	find := lookup{replicas: a.b.opts.Replicas}
	throttle, now := a.b.opts.Replicas.LeaderThrottle(), a.b.opts.Now()
	granted, freed := a.b.followers.take(min(a.req.MaxBytes, a.b.opts.FetchMaxBytes))
	left, total, held, blocks := granted, 0, int64(0), 0
	a.freed, a.rose = freed, false
	kept := a.slots[:0]
	for i := range a.slots {
		slot := &a.slots[i]
		read := partition.Read{HighWatermark: kafka.NoOffset, LastStable: kafka.NoOffset, LogStart: kafka.NoOffset}
		err := a.find(&find, slot)
		throttled := err == nil && isThrottled(slot.p, a.req.ReplicaID)
		if err == nil {
			most, one := min(slot.ask.MaxBytes, left), total == 0 && freed == nil
			if throttled && throttle.Wait(now) > 0 {
				most, one = 0, false // only how far it is
			}
			read, err = slot.p.Read(partition.ReadRequest{
				From: slot.ask.Offset, MaxBytes: most, AtLeastOne: one,
				CurrentEpoch: slot.ask.LeaderEpoch, FetchedEpoch: slot.ask.LastFetchedEpoch,
				Replica: a.req.ReplicaID, ReplicaEpoch: a.req.ReplicaEpoch, LogStart: slot.ask.LogStart,
			})
		}
		slot.result, slot.more = fetched(read, err), read.More
		enough = enough || err != nil || read.Diverging != nil
		switch {
		case read.Records != nil:
			n := read.Records.Len()
			if throttled {
				throttle.Spend(now, n)
			}
			total, left = total+n, max(left-n, 0)
			x := &roomed{Extent: read.Records, room: &a.b.followers, held: charge(n, &blocks)}
			held += x.held
			slot.result.Records = x
		case isNews(slot.told, &slot.result):
			a.rose = true
		case !slot.more:
			a.letGo(slot.x)
			continue
		}
		kept = append(kept, *slot)
	}
	clear(a.slots[len(kept):])
	a.slots = kept
	a.b.followers.settle(granted, held)
	if enough = enough || total > 0 && total >= a.req.MinBytes; !enough {
		for i := range a.slots {
			if r := &a.slots[i].result; r.Records != nil {
				r.Records.Release()
				r.Records = nil
				a.slots[i].more = true
			}
		}
	}
	return enough
}

// isThrottled reports whether a follower is one of those whose copying is limited: its topic names it, and it is not in sync.
func isThrottled(p *partition.Partition, follower kafka.BrokerID) bool {
	r := p.Role()
	return p.Settings().LeaderThrottled.Has(p.ID().Partition, int32(r.Node)) && !slices.Contains(r.ISR, follower)
}

// find finds the partition of a slot and subscribes to it, unless that was done before.
func (a *followAwait) find(find *lookup, slot *followSlot) error {
	if slot.p != nil {
		return nil
	}
	_, p, err := find.find(slot.ask.Topic, slot.ask.TopicID, slot.ask.Partition)
	if err != nil {
		return err
	}
	s := a.req.Following
	s.mu.Lock()
	defer s.mu.Unlock()
	slot.p = p
	if x := slot.x; x.at >= 0 && x.found != p {
		x.news.Stop()
		x.found = p
		p.Subscribe(s.news, &x.news)
	}
	return nil
}

// letGo gives a partition out of hand.
func (a *followAwait) letGo(x *followed) {
	s := a.req.Following
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGoLocked(x)
}

func (s *Following) letGoLocked(x *followed) {
	x.by = nil
	if x.again {
		x.again = false
		s.news.Note(&x.news)
	}
}

// fetched is the result of a read.
func fetched(read partition.Read, err error) FetchResult {
	return FetchResult{
		Err: err, HighWatermark: read.HighWatermark, LastStable: read.LastStable, LogStart: read.LogStart,
		Aborted: read.Aborted, Diverging: read.Diverging, Records: read.Records,
		Leader: kafka.NoBroker, LeaderEpoch: kafka.NoEpoch, PreferredRead: kafka.NoBroker,
	}
}

// finish lists the news, and notes again what there is more of. It gives the await back, which is not to be touched any more.
func (a *followAwait) finish() []FetchResult {
	s := a.req.Following
	a.timer.Stop() // who gets the await from the pool next has it then
	a.req.Partitions = a.req.Partitions[:0]
	results := make([]FetchResult, 0, len(a.slots))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range a.slots {
		slot := &a.slots[i]
		x, r := slot.x, &slot.result
		s.letGoLocked(x)
		if slot.more || r.Records != nil || r.Err != nil || r.Diverging != nil {
			if r.Err != nil { // it may be another partition by now
				x.news.Stop()
				x.found = nil
			}
			if x.at >= 0 {
				s.news.Note(&x.news)
			}
		}
		if x.ask != slot.ask || !x.tellLocked(r) {
			if r.Records != nil {
				r.Records.Release()
			}
			continue
		}
		r.Leader, r.LeaderEpoch = a.b.leaderFor(r.Err, slot.ask.Topic, slot.ask.TopicID, slot.ask.Partition)
		a.req.Partitions = append(a.req.Partitions, slot.ask)
		results = append(results, *r)
	}
	slots, noted := a.slots, a.noted
	if cap(slots) > mostPooledSlots {
		slots = nil
	}
	if cap(noted) > mostPooledSlots {
		noted = nil
	}
	clear(slots)
	*a = followAwait{b: a.b, timer: a.timer, slots: slots[:0], noted: noted[:0]}
	a.b.follows.Put(a)
	return results
}
