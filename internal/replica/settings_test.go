package replica

import (
	"reflect"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
)

// Kafka's defaults, but for what an ack means, reach the partitions as they stand in the table of settings.
func TestDefaultSettings(t *testing.T) {
	topic := (&config.Layers{}).Topic()
	got := TopicSettings(&topic, time.Hour)
	week := 7 * 24 * time.Hour
	want := &partition.Settings{
		Rules:  record.Rules{MaxBatchBytes: 1048588, TimestampAfterMax: time.Hour, MaxDecompressed: 2147483639},
		Log:    storage.Config{SegmentBytes: 1 << 30, SegmentAge: week, IndexInterval: 4096},
		MinISR: 1, MaxDelayed: 1_000_000, Delete: true, RetentionTime: week, RetentionBytes: -1, ProducerExpiry: time.Hour,
		Compaction: compact.Policy{MinDirtyRatio: 0.5, DeleteRetention: 24 * time.Hour, SegmentBytes: 1 << 30},
	}
	got.Compaction.MaxLag, got.Compaction.Window = 0, 0 // the longest Duration, or what Rafka's own key says
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSettingsOfATopic(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		want func(*partition.Settings) bool
	}{
		{map[string]string{"cleanup.policy": "compact"}, func(s *partition.Settings) bool { return s.Compact && !s.Delete && s.Rules.RequireKeys }},
		{map[string]string{"cleanup.policy": "compact,delete", "rafka.compaction.strategy": "time_window"}, func(s *partition.Settings) bool {
			return s.Compact && s.Delete && !s.Rules.RequireKeys && s.Compaction.Strategy == compact.TimeWindow
		}},
		{map[string]string{"compression.type": "zstd", "compression.zstd.level": "7"}, func(s *partition.Settings) bool {
			return s.Rules.Recompress && s.Rules.Codec == record.Zstd && s.Rules.Level == 7
		}},
		{map[string]string{"rafka.delivery.delay.enable": "true", "rafka.delivery.max.pending": "7"}, func(s *partition.Settings) bool { return s.Rules.Delays && s.MaxDelayed == 7 }},
		{map[string]string{"compression.type": "uncompressed"}, func(s *partition.Settings) bool { return s.Rules.Recompress && s.Rules.Codec == record.None }},
		{map[string]string{"message.timestamp.type": "LogAppendTime"}, func(s *partition.Settings) bool { return s.Rules.TimestampType == record.LogAppendTime }},
		{map[string]string{"write.caching": "true", "flush.messages": "100"}, func(s *partition.Settings) bool {
			return s.Log.Durability == storage.Cached && s.Log.FlushMessages == 100
		}},
		{map[string]string{"retention.ms": "-1", "retention.bytes": "5", "min.insync.replicas": "2"}, func(s *partition.Settings) bool {
			return s.RetentionTime < 0 && s.RetentionBytes == 5 && s.MinISR == 2
		}},
	} {
		topic := (&config.Layers{Resource: c.set}).Topic()
		if s := TopicSettings(&topic, time.Hour); !c.want(s) {
			t.Errorf("%v gives %+v", c.set, s)
		}
	}
}
