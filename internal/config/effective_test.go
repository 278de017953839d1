package config

import (
	"math"
	"strings"
	"testing"
	"time"
)

func mustLoad(t testing.TB, flags ...string) *Static {
	t.Helper()
	s, _, err := Load(Sources{Flags: append(flags, "log.dirs=/x")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func synonyms(e Effective) string {
	names := map[Source]string{SourceTopic: "topic", SourceBroker: "broker", SourceDefaultBroker: "cluster", SourceStatic: "static", SourceDefault: "default", SourceGroup: "group", SourceClientMetrics: "metrics"}
	var list []string
	for _, s := range e.Synonyms {
		list = append(list, names[s.Source]+":"+s.Name+"="+*s.Value)
	}
	return strings.Join(list, " ")
}

// CFG-4: what holds, and every place that has a value, as kafka-configs --describe --all shows them.
func TestEffectiveValuesAndTheirSources(t *testing.T) {
	l := Layers{
		Static:   mustLoad(t, "log.retention.hours=2", "log.retention.minutes=60", "num.partitions=4", "group.share.heartbeat.interval.ms=6000"),
		Broker:   map[string]string{"max.connections": "7", "min.insync.replicas": "garbage"},
		Default:  map[string]string{"log.retention.ms": "5000", "max.connections": "8"},
		Resource: map[string]string{"segment.bytes": "2097152", "retention.local.target.ms": "9"},
	}
	for _, tc := range []struct {
		scope                 Scope
		name, value, synonyms string
		source                Source
	}{
		{Topic, "segment.bytes", "2097152", "topic:segment.bytes=2097152 default:log.segment.bytes=1073741824", SourceTopic},
		{Topic, "retention.ms", "5000", "cluster:log.retention.ms=5000 static:log.retention.minutes=60 static:log.retention.hours=2 default:log.retention.hours=168", SourceDefaultBroker},
		{Topic, "segment.ms", "604800000", "default:log.roll.hours=168", SourceDefault},
		{Topic, "min.insync.replicas", "1", "default:min.insync.replicas=1", SourceDefault},
		{Topic, "local.retention.ms", "9", "topic:retention.local.target.ms=9 default:log.local.retention.ms=-2", SourceTopic},
		{Topic, "follower.replication.throttled.replicas", "", "default:follower.replication.throttled.replicas=", SourceDefault},
		{Broker, "max.connections", "7", "broker:max.connections=7 cluster:max.connections=8 default:max.connections=2147483647", SourceBroker},
		{Broker, "num.partitions", "4", "static:num.partitions=4 default:num.partitions=1", SourceStatic},
		{Group, "share.heartbeat.interval.ms", "6000", "static:group.share.heartbeat.interval.ms=6000 default:group.share.heartbeat.interval.ms=5000", SourceStatic},
		{Group, "share.isolation.level", "read_uncommitted", "default:share.isolation.level=read_uncommitted", SourceDefault},
		{ClientMetrics, "interval.ms", "300000", "default:interval.ms=300000", SourceDefault},
	} {
		e, ok := l.Effective(tc.scope, tc.name)
		if !ok || e.Value == nil || *e.Value != tc.value || e.Source != tc.source || synonyms(e) != tc.synonyms {
			t.Errorf("%s: %+v\n got %s\nwant %s", tc.name, e, synonyms(e), tc.synonyms)
		}
	}
	if e, ok := l.Effective(Broker, "broker.rack"); !ok || e.Value != nil || len(e.Synonyms) != 0 {
		t.Errorf("a null default: %+v", e)
	}
	if _, ok := l.Effective(Topic, "no.such"); ok {
		t.Error("there is no such key")
	}
	described := map[string]bool{}
	for _, e := range l.Describe(Topic) {
		described[e.Key.Name] = true
	}
	if !described["retention.local.target.ms"] || described["retention.local.target.bytes"] || described["internal.segment.bytes"] {
		t.Error("hidden keys are described once they are set")
	}
}

// What an ack means, by what was set where (DESIGN §8). The table in Durability's comment, line by line.
func TestDurability(t *testing.T) {
	cached := Durability{Cached: true}
	limited := Durability{Cached: true, FlushMessages: 100, FlushInterval: 50 * time.Millisecond}
	for _, tc := range []struct {
		name   string
		topic  string
		broker string // dynamic, of the cluster
		static string
		want   Durability
	}{
		{"nothing set", "", "", "", Durability{}},
		{"topic caches", "write.caching=true", "", "", cached},
		{"topic caches with limits", "write.caching=true flush.messages=100 flush.ms=50", "", "", limited},
		{"topic has limits", "flush.messages=100 flush.ms=50", "", "", limited},
		{"one limit", "flush.ms=50", "", "", Durability{Cached: true, FlushInterval: 50 * time.Millisecond}},
		{"Kafka's default, spelt out", "flush.messages=9223372036854775807", "", "", cached},
		{"one message is fsync", "flush.messages=1", "", "", Durability{}},
		{"one message is fsync even if caching", "flush.messages=1 write.caching=true", "", "", Durability{}},
		{"no time is fsync", "flush.ms=0", "", "", Durability{}},
		{"no caching goes before limits", "write.caching=false flush.ms=50", "", "", Durability{}},
		{"broker caches", "", "", "write.caching=true", cached},
		{"cluster caches", "", "write.caching=true", "", cached},
		{"broker's limits", "", "", "log.flush.interval.messages=100 log.flush.interval.ms=50", limited},
		{"broker's scheduler", "", "", "log.flush.scheduler.interval.ms=50", Durability{Cached: true, FlushInterval: 50 * time.Millisecond}},
		{"broker fsyncs each", "", "", "log.flush.interval.messages=1", Durability{}},
		{"topic goes before broker", "write.caching=false", "", "write.caching=true", Durability{}},
		{"topic fsyncs, broker has limits", "flush.messages=1", "", "log.flush.interval.ms=50", Durability{}},
		{"topic caches with the broker's limit", "flush.messages=100", "", "log.flush.interval.ms=50", limited},
		{"cluster goes before static", "", "write.caching=false", "write.caching=true", Durability{}},
	} {
		settings := func(text string) map[string]string {
			m := map[string]string{}
			for _, kv := range strings.Fields(text) {
				k, v, _ := strings.Cut(kv, "=")
				m[k] = v
			}
			return m
		}
		l := Layers{Static: mustLoad(t, strings.Fields(tc.static)...), Default: settings(tc.broker), Resource: settings(tc.topic)}
		if got := l.Durability(); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
		if got := l.Topic().Durability; got != tc.want {
			t.Errorf("%s: the topic has %+v", tc.name, got)
		}
	}
}

func TestTopicDefaults(t *testing.T) {
	got := new(Layers).Topic()
	want := TopicConfig{
		Delete: true, MaxMessageBytes: 1048588, MinISR: 1, TimestampAfterMax: time.Hour, CompressionType: "producer",
		MaxDecompressed: 2147483639, MaxDelayed: 1_000_000, RetentionTime: 7 * 24 * time.Hour, RetentionBytes: -1, SegmentBytes: 1 << 30, SegmentAge: 7 * 24 * time.Hour,
		IndexInterval: 4096, MinCleanableRatio: 0.5, MaxCompactionLag: math.MaxInt64, DeleteRetention: 24 * time.Hour,
		CompactionWindow: 7 * 24 * time.Hour,
	}
	if got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestTopicSettings(t *testing.T) {
	l := Layers{Static: mustLoad(t, "log.roll.hours=1", "compression.zstd.level=7"), Resource: map[string]string{
		"cleanup.policy": "compact", "retention.ms": "-1", "compression.type": "zstd", "message.timestamp.type": "LogAppendTime",
		"message.timestamp.before.max.ms": "0", "message.timestamp.after.max.ms": "9223372036854775807", "max.message.bytes": "0",
		"max.decompressed.message.bytes": "1000", "preallocate": "True", "rafka.compaction.strategy": "hybrid", "segment.jitter.ms": "10",
	}}
	got := l.Topic()
	if got.Delete || !got.Compact || got.RetentionTime >= 0 || got.CompressionType != "zstd" || got.CompressionLevel != 7 || !got.LogAppendTime ||
		got.TimestampBeforeMax != 1 || got.TimestampAfterMax != 0 || got.MaxMessageBytes != 1 || got.MaxDecompressed != 1000 || !got.CheckRecords ||
		!got.Preallocate || got.CompactionStrategy != Hybrid || got.SegmentAge != time.Hour || got.SegmentJitter != 10*time.Millisecond {
		t.Errorf("%+v", got)
	}
}

func TestUnitsThatDoNotFit(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{{"0", "0"}, {"-1", "-1"}, {"2", "7200000"}, {"2562047788016", "9223372036854775807"}} {
		if got := inUnit(tc.raw, time.Hour.Milliseconds(), 1); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.raw, got, tc.want)
		}
	}
}

func BenchmarkTopic(b *testing.B) {
	l := Layers{Static: mustLoad(b), Resource: map[string]string{"retention.ms": "1"}}
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Topic()
	}
}
