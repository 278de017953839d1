package kafkasrv

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
)

// Fetch sessions (KIP-227): the broker remembers the partitions that a consumer fetches, so that its requests name only changes, and
// answers tell only partitions with news. The client counts its requests of a session in epochs:
//
//	id 0, epoch -1   no session                    id n, epoch -1   end session n, no new one
//	id 0, epoch 0    answer in full, open one      id n, epoch 0    end session n, answer in full, open another
//	id n, epoch k>0  the k-th request after the one that opened session n
const (
	sessionless int32 = -1
	firstEpoch  int32 = 0
)

const (
	// sessionRest is how long a session is left alone before another may have its place, as in Kafka.
	sessionRest = 2 * time.Minute
	// maxSessionPartitions bounds what all sessions together remember; a client that finds no room fetches without a session.
	maxSessionPartitions = 1 << 20
)

// fetchKey names a partition as the client does: by topic name before version 13, by id since.
type fetchKey struct {
	topic     string
	id        kafka.UUID
	partition int32
}

// cachedPartition is a partition of a session, and what the client was told of it last.
type cachedPartition struct {
	ask           broker.FetchPartition
	highWatermark kafka.Offset
	logStart      kafka.Offset
	prev, next    *cachedPartition
}

// sessionKind is whose a session is and how its partitions are named.
type sessionKind struct {
	byID bool // by topic id, not by name
	// follower: a replica's. It is found by replicas only, and consumers cannot drive it out: replication does not begin anew because many
	// consume.
	follower bool
}

// untold is no offset, not even the one that stands for none: whatever comes next is news.
const untold = kafka.NoOffset - 1

// fetchSession is one client's. Its connection uses it; another one may by mistake, so mu guards everything but id and kind. It is held for
// memory work; the cache's lock may be taken under it.
type fetchSession struct {
	id    int32
	kind  sessionKind
	mu    sync.Mutex
	epoch int32 // of the next request
	byKey map[fetchKey]*cachedPartition
	order cachedPartition // ring: the partitions in the order in which they are served
	// following has the partitions of a follower instead, and knows of which there is news; nil: it is a consumer's.
	following *broker.Following
}

// sessionCache holds at most limit sessions.
type sessionCache struct {
	limit int

	// mu guards what is below, for memory work; no session's lock is taken under it, but that of broker.Following.
	mu         sync.Mutex
	slots      map[int32]*sessionSlot
	partitions int // of all sessions
	evicted    uint64
}

// sessionSlot is a session's place in the cache.
type sessionSlot struct {
	session           *fetchSession
	partitions        int
	created, lastUsed time.Time
}

func newSessionCache(limit int) *sessionCache {
	return &sessionCache{limit: max(limit, 0), slots: map[int32]*sessionSlot{}}
}

// FetchSessionStats counts fetch sessions.
type FetchSessionStats struct {
	Sessions, Partitions int
	Evicted              uint64
}

func (c *sessionCache) stats() FetchSessionStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return FetchSessionStats{Sessions: len(c.slots), Partitions: c.partitions, Evicted: c.evicted}
}

// resolve finds the session a request belongs to and puts what it wants into f.req. It returns nil for a request that names all it wants.
func (c *sessionCache) resolve(f *fetchCall, kind sessionKind, now time.Time) (*fetchSession, kafka.ErrorCode) {
	s := c.find(f.id)
	if s != nil && s.kind.follower != kind.follower {
		s = nil // not this one's to use or to end
	}
	if f.epoch == firstEpoch || f.epoch == sessionless {
		if s != nil {
			c.remove(f.id)
		}
		return nil, kafka.None
	}
	if s == nil {
		return nil, kafka.FetchSessionIDNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.epoch != f.epoch:
		return nil, kafka.InvalidFetchSessionEpoch
	case s.kind.byID != kind.byID:
		return nil, kafka.FetchSessionTopicIDError
	case !c.touch(s.id, s.size()+len(f.req.Partitions), now):
		c.remove(f.id)
		return nil, kafka.FetchSessionIDNotFound // the client begins anew, and there may be no room then
	}
	s.update(f)
	if s.size() == 0 {
		c.remove(f.id)
		f.id, f.epoch = 0, sessionless
		return nil, kafka.None
	}
	c.touch(s.id, s.size(), now)
	if s.epoch++; s.epoch < 0 {
		s.epoch = firstEpoch + 1
	}
	f.req.Partitions, f.cached, f.req.Following = f.req.Partitions[:0], f.cached[:0], s.following
	for p := s.order.next; p != &s.order; p = p.next {
		p.ask.KnownHW = p.highWatermark
		f.req.Partitions = append(f.req.Partitions, p.ask)
		f.cached = append(f.cached, p)
	}
	return s, kafka.None
}

// update adds, changes and removes partitions as the request says.
func (s *fetchSession) update(f *fetchCall) {
	if s.following != nil {
		for i := range f.req.Partitions {
			s.following.Put(f.req.Partitions[i])
		}
		for _, key := range f.forget {
			s.following.Remove(key.topic, key.id, key.partition)
		}
		return
	}
	for i := range f.req.Partitions {
		s.put(&f.req.Partitions[i])
	}
	for _, key := range f.forget {
		if p := s.byKey[key]; p != nil {
			p.unlink()
			delete(s.byKey, key)
		}
	}
}

// size is how many partitions there are.
func (s *fetchSession) size() int {
	if s.following != nil {
		return s.following.Len()
	}
	return len(s.byKey)
}

func (s *fetchSession) put(ask *broker.FetchPartition) *cachedPartition {
	key := fetchKey{ask.Topic, ask.TopicID, ask.Partition}
	p := s.byKey[key]
	if p == nil {
		p = &cachedPartition{highWatermark: untold, logStart: untold}
		s.byKey[key] = p
		s.append(p)
	}
	p.ask = *ask
	return p
}

func (s *fetchSession) append(p *cachedPartition) {
	p.prev, p.next = s.order.prev, &s.order
	p.prev.next, p.next.prev = p, p
}

func (p *cachedPartition) unlink() {
	p.prev.next, p.next.prev = p.next, p.prev
	p.prev, p.next = nil, nil
}

// choose picks the results with news, in order. A partition that gave records goes to the end, so that others come first next time.
func (s *fetchSession) choose(f *fetchCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range f.cached {
		res := &f.results[i]
		if !p.tell(res) {
			continue
		}
		f.chosen = append(f.chosen, int32(i))
		if res.Records != nil && res.Records.Len() > 0 && p.next != nil {
			p.unlink()
			s.append(p)
		}
	}
}

// tell reports whether the client has to be told, and remembers what it is told. An error is told each time.
func (p *cachedPartition) tell(res *broker.FetchResult) bool {
	news := res.Records != nil && res.Records.Len() > 0 || res.PreferredRead >= 0 || res.Diverging != nil
	if p.highWatermark != res.HighWatermark {
		p.highWatermark, news = res.HighWatermark, true
	}
	if p.logStart != res.LogStart {
		p.logStart, news = res.LogStart, true
	}
	if res.Err != nil {
		p.highWatermark, news = untold, true
	}
	return news
}

// create opens a session for the partitions of a request that was answered in full. It returns 0 when there is no room.
func (c *sessionCache) create(f *fetchCall, kind sessionKind, now time.Time) int32 {
	size := len(f.req.Partitions)
	c.mu.Lock()
	defer c.mu.Unlock()
	if size == 0 || c.limit == 0 || c.partitions+size > maxSessionPartitions {
		return 0
	}
	if len(c.slots) >= c.limit && !c.evictLocked(size, kind.follower, now) {
		return 0
	}
	s := &fetchSession{epoch: firstEpoch + 1, kind: kind, byKey: map[fetchKey]*cachedPartition{}}
	s.order.prev, s.order.next = &s.order, &s.order
	if kind.follower {
		s.following = broker.NewFollowing()
	}
	for i := range f.req.Partitions {
		if s.following == nil {
			s.put(&f.req.Partitions[i]).tell(&f.results[i])
			continue
		}
		s.following.Put(f.req.Partitions[i])
		s.following.Tell(&f.req.Partitions[i], &f.results[i])
	}
	for s.id == 0 || c.slots[s.id] != nil {
		s.id = rand.Int32()
	}
	c.slots[s.id] = &sessionSlot{session: s, partitions: size, created: now, lastUsed: now}
	c.partitions += size
	return s.id
}

// evictLocked makes room for a session of that size. The one used longest ago goes if it has rested; else the smallest that may be driven out,
// if it is smaller than the new one. A new session never drives out one that is as large: two clients would do so in turns. A consumer's may be
// driven out when it has had its time, and by a follower at any moment and whatever its size; a follower's only by a follower when it has
// had its time.
func (c *sessionCache) evictLocked(size int, follower bool, now time.Time) bool {
	var oldest, smallest int32
	for id, s := range c.slots {
		if o := c.slots[oldest]; o == nil || s.lastUsed.Before(o.lastUsed) {
			oldest = id
		}
		theirs, hadItsTime := s.session.kind.follower, now.Sub(s.created) > sessionRest
		if theirs && !follower || theirs == follower && !hadItsTime {
			continue
		}
		m := c.slots[smallest]
		if m == nil || m.session.kind.follower && !theirs || m.session.kind.follower == theirs && s.partitions < m.partitions {
			smallest = id
		}
	}
	o, m := c.slots[oldest], c.slots[smallest]
	switch {
	case o != nil && now.Sub(o.lastUsed) > sessionRest:
		c.removeLocked(oldest)
	case m != nil && (m.partitions < size || follower && !m.session.kind.follower):
		c.removeLocked(smallest)
	default:
		return false
	}
	c.evicted++
	return true
}

func (c *sessionCache) find(id int32) *fetchSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slot := c.slots[id]; slot != nil {
		return slot.session
	}
	return nil
}

// touch notes that a session is used and how large it is. It is false if there is no room for so many partitions, or the session has
// been evicted.
func (c *sessionCache) touch(id int32, partitions int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.slots[id]
	if slot == nil || partitions > slot.partitions && c.partitions-slot.partitions+partitions > maxSessionPartitions {
		return false
	}
	c.partitions += partitions - slot.partitions
	slot.partitions, slot.lastUsed = partitions, now
	return true
}

func (c *sessionCache) remove(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(id)
}

func (c *sessionCache) removeLocked(id int32) {
	if slot := c.slots[id]; slot != nil {
		c.partitions -= slot.partitions
		delete(c.slots, id)
		if slot.session.following != nil {
			slot.session.following.Close()
		}
	}
}
