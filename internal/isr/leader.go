package isr

import (
	"math"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Leader is the bookkeeping of one partition's leader in one epoch. It is not safe for concurrent use.
type Leader struct {
	self      kafka.BrokerID
	start     kafka.Offset // where the epoch began; unknownStart: the log was not opened yet
	hw        kafka.Offset
	version   int32 // partition epoch of the metadata
	known     bool  // the metadata were told
	committed []kafka.BrokerID
	replicas  int
	followers []follower
	pending   *pending
}

// unknownStart is an offset that no log end reaches.
const unknownStart kafka.Offset = math.MaxInt64

// follower is another replica.
type follower struct {
	id    kafka.BrokerID
	epoch int64 // its broker epoch, -1: not known

	// end is what it asked for last: everything below is durable there. NoOffset: it has not asked since it was last forgotten, which is at the
	// beginning of the epoch and whenever it leaves the ISR.
	end       kafka.Offset
	fetched   time.Time    // when it asked last
	leaderEnd kafka.Offset // the log end then

	// caughtUp is the latest time of which is known that the follower had all the leader had at that time.
	caughtUp time.Time

	member  bool      // of the committed ISR
	joining bool      // by the pending proposal
	refused time.Time // no proposal to join before
}

// pending is a proposal under way.
type pending struct {
	version int32 // of the metadata it is based on
	isr     []Member
	asked   time.Time // when it was made last
	again   bool      // to be made again
	lost    time.Time // when nobody knew the last time what became of it; zero: never
}

// New begins an epoch in which this replica leads, with nothing known of followers. hw is the high watermark known so far. Begin and Metadata are to
// follow.
func New(self kafka.BrokerID, hw kafka.Offset) *Leader {
	return &Leader{self: self, start: unknownStart, hw: hw}
}

// Begin tells where the epoch begins, which is the log end before anything was appended in it, and a high watermark that is known. Nobody joins before.
func (l *Leader) Begin(start, hw kafka.Offset) {
	l.start = start
	l.Known(hw)
}

// Known raises the high watermark to one that is known from elsewhere.
func (l *Leader) Known(hw kafka.Offset) { l.hw = max(l.hw, hw) }

// Metadata is what the metadata say of the partition.
type Metadata struct {
	PartitionEpoch int32
	ISR, Replicas  []kafka.BrokerID // both with the leader
}

// Metadata takes in newer metadata. A proposal based on older ones is over: it has been carried out, or never will be (ISR-4).
func (l *Leader) Metadata(m Metadata, now time.Time) {
	if l.known && m.PartitionEpoch < l.version {
		return
	}
	if l.pending != nil && m.PartitionEpoch > l.pending.version {
		l.drop()
	}
	l.known, l.version, l.committed, l.replicas = true, m.PartitionEpoch, m.ISR, len(m.Replicas)
	was := l.followers
	l.followers = make([]follower, 0, len(m.Replicas))
	for _, ids := range [...][]kafka.BrokerID{m.Replicas, m.ISR} {
		for _, id := range ids {
			if id == l.self || l.find(id) != nil {
				continue
			}
			f := follower{id: id, epoch: -1, end: kafka.NoOffset}
			if i := slices.IndexFunc(was, func(f follower) bool { return f.id == id }); i >= 0 {
				f = was[i]
			}
			l.followers = append(l.followers, f)
		}
	}
	for i := range l.followers {
		f := &l.followers[i]
		switch in := slices.Contains(m.ISR, f.id); {
		case in && !f.member:
			f.member = true
			if f.caughtUp.Before(now) {
				f.caughtUp = now // it is given the time to show that it is in sync
			}
		case !in && f.member:
			// Whoever took it out may know that it has died: it must fetch again before it counts.
			*f = follower{id: f.id, epoch: f.epoch, end: kafka.NoOffset, joining: f.joining}
		}
	}
}

func (l *Leader) find(id kafka.BrokerID) *follower {
	for i := range l.followers {
		if l.followers[i].id == id {
			return &l.followers[i]
		}
	}
	return nil
}

// drop ends the pending proposal.
func (l *Leader) drop() {
	l.pending = nil
	for i := range l.followers {
		l.followers[i].joining = false
	}
}
