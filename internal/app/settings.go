package app

import (
	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
)

// partitionSettings is what a topic's configuration means to its partitions.
func partitionSettings(set broker.Settings) func(*metadata.Image, string) *partition.Settings {
	expiry := set.Static.Duration("producer.id.expiration.ms")
	return func(img *metadata.Image, topic string) *partition.Settings {
		t := set.Topic(img, topic)
		s := &partition.Settings{
			Rules: record.Rules{
				MaxBatchBytes: t.MaxMessageBytes, RequireKeys: t.Compact,
				TimestampBeforeMax: t.TimestampBeforeMax, TimestampAfterMax: t.TimestampAfterMax,
				MaxDecompressed: t.MaxDecompressed, CheckRecords: t.CheckRecords,
			},
			Log: storage.Config{
				FlushMessages: t.Durability.FlushMessages, FlushInterval: t.Durability.FlushInterval,
				SegmentBytes: t.SegmentBytes, SegmentAge: t.SegmentAge, IndexInterval: t.IndexInterval,
				DeleteDelay: t.FileDeleteDelay, Preallocate: t.Preallocate,
			},
			MinISR: t.MinISR, Delete: t.Delete, Compact: t.Compact,
			Compaction: compact.Policy{
				Strategy: strategies[t.CompactionStrategy], Window: t.CompactionWindow, MinDirtyRatio: t.MinCleanableRatio,
				MinLag: t.MinCompactionLag, MaxLag: t.MaxCompactionLag, DeleteRetention: t.DeleteRetention, SegmentBytes: t.SegmentBytes,
			},
			RetentionTime: t.RetentionTime, RetentionBytes: t.RetentionBytes, SegmentJitter: t.SegmentJitter,
			ProducerExpiry: expiry,
		}
		if t.LogAppendTime {
			s.Rules.TimestampType = record.LogAppendTime
		}
		if t.Durability.Cached {
			s.Log.Durability = storage.Cached
		}
		if codec, err := record.ParseCodec(t.CompressionType); err == nil { // "producer" is none: batches stay as they are
			s.Rules.Recompress, s.Rules.Codec, s.Rules.Level = true, codec, t.CompressionLevel
		}
		return s
	}
}

var strategies = map[config.CompactionStrategy]compact.Strategy{
	config.KeepLatest: compact.KeepLatest,
	config.TimeWindow: compact.TimeWindow,
	config.Hybrid:     compact.Hybrid,
}
