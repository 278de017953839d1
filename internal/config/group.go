package config

import (
	"math"
	"strings"
	"time"
)

// GroupConfig is what the settings of one group mean: its own keys over the broker's defaults, and the broker's keys that rule every group.
type GroupConfig struct {
	Consumer ModernGroup
	Share    ShareGroup
	Streams  StreamsGroup

	// Of classic groups.
	InitialRebalanceDelay time.Duration // group.initial.rebalance.delay.ms
	MinSessionTimeout     time.Duration // group.min.session.timeout.ms
	MaxSessionTimeout     time.Duration // group.max.session.timeout.ms
	MaxSize               int           // group.max.size

	// Of consumer groups.
	ConsumerAssignors []string // group.consumer.assignors, as written; the first is the default
	MayUpgrade        bool     // group.consumer.migration.policy: a classic group may become a consumer group
	MayDowngrade      bool     // and back

	// Protocols are those of group.coordinator.rebalance.protocols.
	Protocols []string

	// Of committed offsets.
	OffsetRetention   time.Duration // offsets.retention.minutes
	MaxOffsetMetadata int           // offset.metadata.max.bytes
}

// ModernGroup are the settings that every group of KIP-848's kind has.
type ModernGroup struct {
	SessionTimeout     time.Duration
	HeartbeatInterval  time.Duration
	AssignmentInterval time.Duration // how long to wait between two computations of the assignment; 0: not at all
	MaxSize            int
}

// ShareGroup are the settings of a share group (KIP-932, KIP-1191) and Rafka's own.
type ShareGroup struct {
	ModernGroup
	OffsetReset        string        // share.auto.offset.reset: latest, earliest or by_duration:…
	OffsetResetBy      time.Duration // of by_duration
	ReadCommitted      bool          // share.isolation.level
	DeliveryCountLimit int           // share.delivery.count.limit
	LockDuration       time.Duration // share.record.lock.duration.ms
	MaxRecordLocks     int           // share.partition.max.record.locks
	RenewEnabled       bool          // share.renew.acknowledge.enable

	DeadLetterTopic      string // errors.deadletterqueue.topic.name; "": none
	DeadLetterCopyRecord bool   // errors.deadletterqueue.copy.record.enable

	KeyOrdering    bool          // share.ordering=key: no two records of one key in flight at once
	RetryBackoff   time.Duration // share.retry.backoff.ms: how long a released record rests; 0: not at all
	RetryMultiple  float64       // share.retry.backoff.multiplier: each further delivery rests so many times longer
	RetryMax       time.Duration // share.retry.backoff.max.ms
	RedeliverFirst bool          // share.redelivery.priority=high: released records go before new ones
}

// StreamsGroup are the settings of a streams group (KIP-1071).
type StreamsGroup struct {
	ModernGroup
	InitialRebalanceDelay time.Duration
	StandbyReplicas       int
	WarmupReplicas        int
	AcceptableLag         int64
	TaskOffsetInterval    time.Duration
	AssignorName          string   // "": the default
	RackTags              []string // streams.rack.aware.assignment.tags
}

// Group reads the settings of a group, whose own are l.Resource.
func (l *Layers) Group() GroupConfig {
	text := func(scope Scope, name string) string {
		v, _, _ := l.value(scope, mustLookup(scope, name))
		return v
	}
	number := func(scope Scope, name string) int64 { return parseInt(text(scope, name)) }
	ms := func(scope Scope, name string) time.Duration { return duration(number(scope, name), time.Millisecond) }
	modern := func(prefix string) ModernGroup {
		return ModernGroup{
			SessionTimeout: ms(Group, prefix+".session.timeout.ms"), HeartbeatInterval: ms(Group, prefix+".heartbeat.interval.ms"),
			AssignmentInterval: ms(Group, prefix+".assignment.interval.ms"), MaxSize: int(number(Broker, "group."+prefix+".max.size")),
		}
	}
	policy := strings.ToLower(text(Broker, "group.consumer.migration.policy"))
	g := GroupConfig{
		Consumer: modern("consumer"),
		Share: ShareGroup{
			ModernGroup: modern("share"), OffsetReset: text(Group, "share.auto.offset.reset"),
			ReadCommitted:      text(Group, "share.isolation.level") == "read_committed",
			DeliveryCountLimit: int(number(Group, "share.delivery.count.limit")), LockDuration: ms(Group, "share.record.lock.duration.ms"),
			MaxRecordLocks: int(number(Group, "share.partition.max.record.locks")), RenewEnabled: isTrue(text(Group, "share.renew.acknowledge.enable")),
			DeadLetterTopic: text(Group, "errors.deadletterqueue.topic.name"), DeadLetterCopyRecord: isTrue(text(Group, "errors.deadletterqueue.copy.record.enable")),
			KeyOrdering: text(Group, "share.ordering") == "key", RetryBackoff: ms(Group, "share.retry.backoff.ms"),
			RetryMultiple: parseFloat(text(Group, "share.retry.backoff.multiplier")), RetryMax: ms(Group, "share.retry.backoff.max.ms"),
			RedeliverFirst: text(Group, "share.redelivery.priority") == "high",
		},
		Streams: StreamsGroup{
			ModernGroup: modern("streams"), InitialRebalanceDelay: ms(Group, "streams.initial.rebalance.delay.ms"),
			StandbyReplicas: int(number(Group, "streams.num.standby.replicas")), WarmupReplicas: int(number(Group, "streams.num.warmup.replicas")),
			AcceptableLag: number(Group, "streams.acceptable.recovery.lag"), TaskOffsetInterval: ms(Group, "streams.task.offset.interval.ms"),
			AssignorName: text(Group, "streams.assignor.name"), RackTags: splitList(text(Group, "streams.rack.aware.assignment.tags")),
		},
		InitialRebalanceDelay: ms(Broker, "group.initial.rebalance.delay.ms"),
		MinSessionTimeout:     ms(Broker, "group.min.session.timeout.ms"), MaxSessionTimeout: ms(Broker, "group.max.session.timeout.ms"),
		MaxSize:           int(number(Broker, "group.max.size")),
		ConsumerAssignors: splitList(text(Broker, "group.consumer.assignors")),
		MayUpgrade:        policy == "upgrade" || policy == "bidirectional", MayDowngrade: policy == "downgrade" || policy == "bidirectional",
		Protocols:         splitList(text(Broker, "group.coordinator.rebalance.protocols")),
		OffsetRetention:   duration(number(Broker, "offsets.retention.minutes"), time.Minute),
		MaxOffsetMetadata: int(number(Broker, "offset.metadata.max.bytes")),
	}
	if by, ok := strings.CutPrefix(g.Share.OffsetReset, "by_duration:"); ok {
		g.Share.OffsetReset = "by_duration"
		g.Share.OffsetResetBy, _ = parseISODuration(by)
	}
	return g
}

// GroupBounds names the broker's keys that bound a group's setting from below and above; "": there is none.
func GroupBounds(name string) (atLeast, atMost string) {
	kind, rest, _ := strings.Cut(name, ".")
	rest = strings.TrimPrefix(rest, "num.")
	bound := func(word string) string {
		key := "group." + kind + "." + word + "." + rest
		if index[Broker][key] == nil {
			return ""
		}
		return key
	}
	return bound("min"), bound("max")
}

// parseISODuration reads the durations that share.auto.offset.reset takes, such as P1DT2H3M4.5S; ok is false for anything else. The longest
// Duration stands for what does not fit.
func parseISODuration(v string) (d time.Duration, ok bool) {
	m := isoDuration.FindStringSubmatch(v)
	if m == nil {
		return 0, false
	}
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] != "" {
			n := parseFloat(m[i+1]) * float64(unit)
			if n >= math.MaxInt64 || d > math.MaxInt64-time.Duration(n) {
				return math.MaxInt64, true
			}
			d += time.Duration(n)
		}
	}
	return d, true
}
