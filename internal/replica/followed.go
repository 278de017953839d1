package replica

import (
	"sync/atomic"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// followKey names a partition as Fetch does.
type followKey struct {
	topic     kafka.UUID
	partition int32
}

// followed is a partition that is followed in one leader epoch.
type followed struct {
	p      *partition.Partition
	key    followKey
	source kafka.BrokerID
	epoch  kafka.LeaderEpoch

	over    atomic.Bool // the partition has, or is about to get, another role: nothing is done with it any more
	resting atomic.Bool // it failed and is left alone; a new role tries it at once
	sick    atomic.Bool // it has failed, and nothing has come since
	lag     atomic.Int64
	behind  atomic.Int64 // since when it is not known to have all that is committed, in ns since 1970; 0: it has

	// What follows belongs to the fetcher's goroutine.

	state followState
	point partition.FollowPoint
	told  told
	dirty bool // in fetcher.dirty
	pause backoff
	until time.Time // resting: when to try again
	stall bool      // its disk took too long when it was waited for last
}

// followState is what comes next for a followed partition.
type followState int8

const (
	fresh    followState = iota // where the log ends is to be found out
	unsynced                    // the log up to its end is to be made durable: only then may the leader be told that it is here
	ready                       // fetched
	resting                     // left alone for a while
	failed                      // its log is broken: nobody is told, and the leader will notice
)

// told is what the leader's session knows of a partition.
type told struct {
	in        bool // anything at all
	offset    kafka.Offset
	logStart  kafka.Offset
	lastEpoch kafka.LeaderEpoch
	epoch     kafka.LeaderEpoch
}

// wants is what the leader should know.
func (x *followed) wants() told {
	return told{in: true, offset: x.point.Offset, logStart: x.point.LogStart, lastEpoch: x.point.LastEpoch, epoch: x.epoch}
}

// committed notes how far the leader has committed records that are not here.
func (x *followed) committed(hw kafka.Offset, now time.Time) {
	lag := int64(max(hw-x.point.Offset, 0))
	if x.lag.Load() != lag {
		x.lag.Store(lag)
	}
	switch behind := x.behind.Load(); {
	case lag == 0 && behind != 0:
		x.behind.Store(0)
	case lag > 0 && behind == 0:
		x.behind.Store(now.UnixNano())
	}
}

// fell notes a failure: nobody knows how far behind the partition is now.
func (x *followed) fell(now time.Time) {
	x.sick.Store(true)
	x.behind.CompareAndSwap(0, now.UnixNano())
}
