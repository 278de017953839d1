package replica

import (
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
)

// TopicSettings says what the configuration of a topic means to its partitions. producerExpiry is producer.id.expiration.ms of the
// broker. app makes Options.Settings of it.
func TopicSettings(t *config.TopicConfig, producerExpiry time.Duration) *partition.Settings {
	s := &partition.Settings{
		Rules: record.Rules{
			MaxBatchBytes:      t.MaxMessageBytes,
			RequireKeys:        t.Compact && t.CompactionStrategy != config.TimeWindow, // which looks at no key
			TimestampBeforeMax: t.TimestampBeforeMax,
			TimestampAfterMax:  t.TimestampAfterMax,
			MaxDecompressed:    t.MaxDecompressed,
			CheckRecords:       t.CheckRecords,
			Delays:             t.Delays,
		},
		Log: storage.Config{
			SegmentBytes:  t.SegmentBytes,
			SegmentAge:    t.SegmentAge,
			IndexInterval: t.IndexInterval,
			Preallocate:   t.Preallocate,
		},
		MinISR:         t.MinISR,
		MaxDelayed:     t.MaxDelayed,
		Delete:         t.Delete,
		Compact:        t.Compact,
		Compaction:     compaction(t),
		RetentionTime:  t.RetentionTime,
		RetentionBytes: t.RetentionBytes,
		SegmentJitter:  t.SegmentJitter,
		ProducerExpiry: producerExpiry,

		LeaderThrottled: t.LeaderThrottled, FollowerThrottled: t.FollowerThrottled,
	}
	if t.LogAppendTime {
		s.Rules.TimestampType = record.LogAppendTime
	}
	if t.Durability.Cached {
		s.Log.Durability = storage.Cached
		s.Log.FlushMessages, s.Log.FlushInterval = t.Durability.FlushMessages, t.Durability.FlushInterval
	}
	// The table of settings lets no other name pass than those of the codecs and "producer", which is none.
	if codec, err := record.ParseCodec(t.CompressionType); err == nil {
		s.Rules.Recompress, s.Rules.Codec, s.Rules.Level = true, codec, t.CompressionLevel
	}
	return s
}

var strategies = map[config.CompactionStrategy]compact.Strategy{
	config.KeepLatest: compact.KeepLatest, config.TimeWindow: compact.TimeWindow, config.Hybrid: compact.Hybrid,
}

func compaction(t *config.TopicConfig) compact.Policy {
	return compact.Policy{
		Strategy:        strategies[t.CompactionStrategy],
		Window:          t.CompactionWindow,
		MinDirtyRatio:   t.MinCleanableRatio,
		MinLag:          t.MinCompactionLag,
		MaxLag:          t.MaxCompactionLag,
		DeleteRetention: t.DeleteRetention,
		SegmentBytes:    t.SegmentBytes,
	}
}
