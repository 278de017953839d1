package httpsrv

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/replica"
	"github.com/rafka-io/rafka/internal/storage"
)

// Sources are where the numbers come from; they are asked at each scrape, by any goroutine. What is nil is left out of the page.
type Sources struct {
	NodeID   kafka.BrokerID
	Image    func() *metadata.Image // required
	Replicas Replicas               // replica.Manager's, by OfReplicas
	Groups   Groups                 // the coordinator's, by OfGroups
	Doors    func() []Door
	APIs     func() []API // of the Kafka door
	// Oldest is the timestamp of the oldest record stored, as far as that is known without reading the disk; zero: nothing is stored.
	Oldest func() time.Time
	// StorageErrors counts the I/O errors that took a log or directory offline.
	StorageErrors func() uint64
	// Notes lists the last decisions about a group or transactional id (kind is NotesOfGroups or NotesOfTransactions), the oldest first.
	Notes func(kind, about string) []Note
	// Compare compares the replicas of a partition from an offset on, as far as one step goes; thorough: by more than their checksums. It reads disks.
	Compare func(ctx context.Context, topic string, partition int32, from int64, thorough bool) (replica.Compared, error)
	// NotReady lists why the broker cannot serve: empty when it can. [ready]
	NotReady func() []string
	// Unhealthy lists what only a restart or a person can mend: empty when there is nothing. [healthy]
	Unhealthy func() []string
}

// Replicas tells of the partitions on this node, from memory only (HTP-1).
type Replicas interface {
	Counts() Counts
	// Topics are those with a partition here, in any order.
	Topics() []Topic
	// Partitions are those of a topic that are here. The Topic came from Topics.
	Partitions(Topic) []Partition
	Directories() []storage.DirInfo
}

// Counts is what the partitions of this node add up to. Counters include topics that were deleted meanwhile.
type Counts struct {
	Topics, Partitions, Leaders int
	UnderMinISR, AtMinISR       int
	Offline                     int // partitions whose log failed
	Rot                         replica.RotCounts
	Delayed                     int // records that wait for their time
	Traffic                     Traffic
	Following                   Following
}

// Following is what this node copies from others, and how well.
type Following struct {
	Sources, Silent int   // brokers that it copies from; of these, those that do not answer
	Failed          int   // partitions of which the last attempt failed
	MaxLag          int64 // records
	Behind          time.Duration
	BytesIn         int64 // since the broker started, as Failures
	Failures        int64
}

// Traffic counts since the broker started.
type Traffic struct {
	MessagesIn, BytesIn, BytesOut, ProduceRequests, FetchRequests, FailedProduce, FailedFetch int64
}

// Topic is one topic's part in the page.
type Topic struct {
	Name       string
	Partitions int // on this node
	Traffic    Traffic
	handle     any // the source's own
}

// Partition is one partition's. Start, HighWatermark and Size are known only while IsOpen.
type Partition struct {
	Partition     int32
	IsOpen        bool // its log is in use
	Start         kafka.Offset
	HighWatermark kafka.Offset
	Size          int64 // bytes
}

// Door is what one door has counted.
type Door struct {
	Name             string // kafka, text, grpc
	Connections      int64  // open
	ConnectionErrors uint64 // connections closed for something the peer did or the network
	Consumers        int64  // streams of records under way; -1: the door does not know
	Delivered        int64  // records given to consumers; -1: the door does not know
	Failures         int64  // commands or calls answered with an error; -1: the door does not know
	Publish          *broker.LatencyCounts
	Consume          *broker.LatencyCounts
}

// API is what one Kafka API was asked.
type API struct {
	Name     string
	Requests uint64
	Latency  broker.LatencyCounts
}
