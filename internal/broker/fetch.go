package broker

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

// Isolation of a read.
type Isolation = partition.Isolation

const (
	ReadUncommitted = partition.ReadUncommitted
	ReadCommitted   = partition.ReadCommitted
)

// FetchRequest asks for batches of partitions, waiting until MinBytes are there or MaxWait has passed.
type FetchRequest struct {
	ReplicaID    kafka.BrokerID // negative: a consumer
	ReplicaEpoch int64          // of a follower: its broker epoch, -1: not told
	MaxWait      time.Duration  // at most a minute is waited
	MinBytes     int
	MaxBytes     int // of the whole answer; the first partition with data gives at least one batch all the same
	Isolation    Isolation
	Rack         string // of a consumer; a replica there may be named to it (KIP-392)
	AnyReplica   bool   // the consumer may be served by a replica that does not lead
	Partitions   []FetchPartition
	// Following is what a follower fetches again and again; nil: Partitions is all it asks for. With it the results are of those of which there is news
	// (following.go), and Wait sets Partitions to them.
	Following *Following
}

// FetchPartition: by topic id if Topic is empty.
type FetchPartition struct {
	Topic            string
	TopicID          kafka.UUID
	Partition        int32
	Offset           kafka.Offset
	MaxBytes         int
	LeaderEpoch      kafka.LeaderEpoch // current leader epoch as the client knows it; NoEpoch: not checked
	LastFetchedEpoch kafka.LeaderEpoch // NoEpoch: not checked
	LogStart         kafka.Offset      // of a follower
	// KnownHW is the high watermark that a follower was told last; NoOffset: whatever it is, it may wait.
	KnownHW kafka.Offset
}

// FetchResult answers one partition, in the order of the request. The door releases Records after writing.
type FetchResult struct {
	Err           error
	HighWatermark kafka.Offset
	LastStable    kafka.Offset
	LogStart      kafka.Offset
	Aborted       []AbortedTxn   // ReadCommitted only
	Diverging     *EpochEnd      // the client's log diverges: truncate to here
	Leader        kafka.BrokerID // with kafka.NotLeaderOrFollower and kafka.FencedLeaderEpoch, else NoBroker
	LeaderEpoch   kafka.LeaderEpoch
	PreferredRead kafka.BrokerID // the replica that a consumer should ask instead; NoBroker: go on here
	Records       storage.Extent // nil: none
}

// AbortedTxn names a producer's aborted transaction by its first offset.
type AbortedTxn = partition.AbortedTxn

// EpochEnd is the end offset of an epoch.
type EpochEnd = partition.EpochEnd

// maxFetchWait bounds how long a fetch waits, whatever it asks for: clients ask for half a second.
const maxFetchWait = time.Minute

// Fetch reads batches from each partition; a partition's failure is its own (BRK-1). Fetch itself does nothing; Wait reads, and if that is
// less than req.MinBytes and nothing failed, waits until enough has come, req.MaxWait has passed or ctx ends, and reads again.
// req is borrowed until Wait returns. Only an Await whose Wait was called holds extents, so one may be dropped.
//
// A follower (fetch_follower.go) is given what is not committed too, and waits for that.
//
// Per partition: UnknownTopicOrPartition, UnknownTopicID and the errors of partition.Read.
func (b *Broker) Fetch(s *Session, req *FetchRequest) Await[[]FetchResult] {
	if req.Following != nil {
		a := b.follows.Get().(*followAwait)
		a.req, a.refused = req, b.mayFollow(s, req.ReplicaID, req.ReplicaEpoch)
		return a
	}
	a := b.fetches.Get().(*fetchAwait)
	a.req, a.room = req, &b.room
	if req.ReplicaID >= 0 {
		a.room, a.refused = &b.followers, b.mayFollow(s, req.ReplicaID, req.ReplicaEpoch)
	}
	return a
}
