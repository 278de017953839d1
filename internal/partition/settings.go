package partition

import (
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
)

// Settings is what a topic's configuration means to its partitions. One value is shared by all partitions of the topic and never
// changes; a new configuration is a new value (Partition.Configure).
type Settings struct {
	Rules  record.Rules
	Log    storage.Config // without callbacks
	MinISR int            // min.insync.replicas

	MaxDelayed int // rafka.delivery.max.pending; 0: as many as a partition can remember (Rules.Delays)

	Delete  bool // cleanup.policy has delete
	Compact bool // cleanup.policy has compact

	Compaction compact.Policy // what Compact means

	RetentionTime  time.Duration // retention.ms; negative: for ever
	RetentionBytes int64         // retention.bytes; negative: no limit
	SegmentJitter  time.Duration // segment.jitter.ms: up to this much is taken off segment.ms, another part for each partition
	ProducerExpiry time.Duration // producer.id.expiration.ms

	// LeaderThrottled and FollowerThrottled name the replicas whose copying is throttled while they are not in sync.
	LeaderThrottled, FollowerThrottled config.ThrottledReplicas
}
