package isr

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Fetch is what a follower says by asking for more.
type Fetch struct {
	Replica kafka.BrokerID
	Epoch   int64        // its broker epoch, -1: not known
	From    kafka.Offset // it has everything below, durable
	End     kafka.Offset // the leader's log end as of now
	At      time.Time
}

// joinPatience is how long after its last fetch the high watermark waits for a follower that is about to join, and how long ago it may last have been
// caught up to count as one. A follower that dies in that moment holds up the partition so long, once.
const joinPatience = time.Second

// Fetched notes how far a follower is. The caller has seen that its log agrees with the leader's up to f.From, and that it fetches in this epoch.
//
// Errors: NotLeaderOrFollower for a replica that the metadata do not know here, and for an earlier life of the broker (REP-4); nothing changes then.
func (l *Leader) Fetched(f Fetch) error {
	r := l.find(f.Replica)
	if r == nil {
		return kafka.Errorf(kafka.NotLeaderOrFollower, "broker %d has no replica of the partition as far as is known here: refresh the metadata", f.Replica)
	}
	if f.Epoch >= 0 && f.Epoch < r.epoch {
		return kafka.Errorf(kafka.NotLeaderOrFollower, "a fetch of broker %d comes from its epoch %d, and %d was heard of", f.Replica, f.Epoch, r.epoch)
	}
	first := r.end == kafka.NoOffset
	if f.Epoch > r.epoch {
		r.epoch, first = f.Epoch, true // what was fetched in an earlier life says nothing
	}
	switch {
	case f.From >= f.End:
		r.caughtUp = later(r.caughtUp, f.At)
	case !first && f.From >= r.leaderEnd:
		r.caughtUp = later(r.caughtUp, r.fetched)
	}
	r.end, r.leaderEnd, r.fetched = f.From, f.End, later(r.fetched, f.At)
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// chases reports whether a follower that is no member will be one as soon as the high watermark lets it. One that was refused has to fetch anew when it
// may be proposed again: most are refused because they stop.
func (l *Leader) chases(f *follower, now time.Time) bool {
	return f.end >= l.start && now.Sub(f.fetched) < joinPatience && f.fetched.Sub(f.caughtUp) < joinPatience && !f.fetched.Before(f.refused)
}

// mayJoin reports whether a follower may be proposed (ISR-3).
func (l *Leader) mayJoin(f *follower, now time.Time) bool {
	return !f.member && !f.joining && f.end >= l.hw && f.end >= l.start && !now.Before(f.refused)
}
