package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

// TopicConfig is what the settings of one topic mean: every key that acts, parsed. It is made once for each change of the metadata image and
// shared; it never changes.
type TopicConfig struct {
	Delete, Compact bool // cleanup.policy

	Durability Durability

	MaxMessageBytes int  // max.message.bytes; at least 1
	MinISR          int  // min.insync.replicas
	Unclean         bool // unclean.leader.election.enable

	LogAppendTime bool // message.timestamp.type
	// How far timestamps may lie from the broker's time. 0: no limit; "not at all" is a nanosecond, as record.Rules has it.
	TimestampBeforeMax, TimestampAfterMax time.Duration

	CompressionType  string // producer, uncompressed, gzip, snappy, lz4 or zstd
	CompressionLevel int    // of that codec, in Kafka's levels; 0: it has none
	MaxDecompressed  int    // max.decompressed.message.bytes
	CheckRecords     bool   // that is below its default: the broker looks into every batch

	Delays     bool // rafka.delivery.delay.enable
	MaxDelayed int  // rafka.delivery.max.pending

	RetentionTime  time.Duration // negative: for ever
	RetentionBytes int64         // negative: no limit

	SegmentBytes  int64
	SegmentAge    time.Duration
	SegmentJitter time.Duration
	IndexInterval int // bytes
	Preallocate   bool

	MinCleanableRatio  float64
	MinCompactionLag   time.Duration
	MaxCompactionLag   time.Duration // the longest Duration: no limit
	DeleteRetention    time.Duration // of tombstones
	CompactionStrategy CompactionStrategy
	CompactionWindow   time.Duration

	LeaderThrottled, FollowerThrottled ThrottledReplicas // leader., follower.replication.throttled.replicas
}

// CompactionStrategy says what compaction keeps (rafka.compaction.strategy).
type CompactionStrategy int8

const (
	KeepLatest CompactionStrategy = iota // the latest record of each key
	TimeWindow                           // what is younger than the window
	Hybrid                               // the latest record of each key among what is younger than the window
)

// Topic reads the settings of a topic, whose own are l.Resource.
func (l *Layers) Topic() TopicConfig {
	text := func(name string) string {
		v, _, _ := l.value(Topic, mustLookup(Topic, name))
		return v
	}
	number := func(name string) int64 { return parseInt(text(name)) }
	ms := func(name string) time.Duration { return duration(number(name), time.Millisecond) }
	policy := splitList(text("cleanup.policy"))

	t := TopicConfig{
		Delete:  slices.Contains(policy, "delete"),
		Compact: slices.Contains(policy, "compact"),

		Durability: l.Durability(),

		MaxMessageBytes: int(max(number("max.message.bytes"), 1)),
		MinISR:          int(number("min.insync.replicas")),
		Unclean:         text("unclean.leader.election.enable") == "true",

		LogAppendTime:      text("message.timestamp.type") == "LogAppendTime",
		TimestampBeforeMax: timestampLimit(ms("message.timestamp.before.max.ms")),
		TimestampAfterMax:  timestampLimit(ms("message.timestamp.after.max.ms")),

		CompressionType: text("compression.type"),
		MaxDecompressed: int(number("max.decompressed.message.bytes")),

		Delays:     isTrue(text("rafka.delivery.delay.enable")),
		MaxDelayed: int(number("rafka.delivery.max.pending")),

		RetentionTime:  ms("retention.ms"),
		RetentionBytes: number("retention.bytes"),

		SegmentBytes:  number("segment.bytes"),
		SegmentAge:    ms("segment.ms"),
		SegmentJitter: ms("segment.jitter.ms"),
		IndexInterval: int(number("index.interval.bytes")),
		Preallocate:   isTrue(text("preallocate")),

		MinCleanableRatio:  parseFloat(text("min.cleanable.dirty.ratio")),
		MinCompactionLag:   ms("min.compaction.lag.ms"),
		MaxCompactionLag:   ms("max.compaction.lag.ms"),
		DeleteRetention:    ms("delete.retention.ms"),
		CompactionStrategy: compactionStrategies[text("rafka.compaction.strategy")],
		CompactionWindow:   ms("rafka.compaction.window.ms"),

		LeaderThrottled:   throttledReplicas(text("leader.replication.throttled.replicas")),
		FollowerThrottled: throttledReplicas(text("follower.replication.throttled.replicas")),
	}
	switch t.CompressionType {
	case "gzip", "lz4", "zstd":
		t.CompressionLevel = int(number("compression." + t.CompressionType + ".level"))
	}
	t.CheckRecords = text("max.decompressed.message.bytes") != mustLookup(Topic, "max.decompressed.message.bytes").Default
	return t
}

var compactionStrategies = map[string]CompactionStrategy{"keep_latest": KeepLatest, "time_window": TimeWindow, "hybrid": Hybrid}

// timestampLimit turns "not at all" and "no limit" into what TopicConfig says.
func timestampLimit(d time.Duration) time.Duration {
	switch d {
	case 0:
		return time.Nanosecond
	case math.MaxInt64:
		return 0
	}
	return d
}

func isTrue(v string) bool { return strings.EqualFold(v, "true") }
