package config

import (
	"testing"
	"time"
)

// A group's own settings go first, then the broker's for all groups, then the defaults.
func TestGroupSettingsComeFromTheGroupThenTheBroker(t *testing.T) {
	l := Layers{
		Default: map[string]string{
			"group.consumer.session.timeout.ms": "50000", "group.share.record.lock.duration.ms": "20000", "offsets.retention.minutes": "60",
			"group.consumer.migration.policy": "upgrade", "group.max.size": "7",
		},
		Resource: map[string]string{
			"share.record.lock.duration.ms": "40000", "share.auto.offset.reset": "by_duration:P1DT2H3M4.5S", "share.ordering": "key",
			"share.retry.backoff.ms": "250", "share.isolation.level": "read_committed",
		},
	}
	g := l.Group()
	if g.Consumer.SessionTimeout != 50*time.Second || g.Consumer.HeartbeatInterval != 5*time.Second || g.OffsetRetention != time.Hour {
		t.Errorf("%+v", g)
	}
	if !g.MayUpgrade || g.MayDowngrade || g.MaxSize != 7 || g.MaxOffsetMetadata != 4096 {
		t.Errorf("%+v", g)
	}
	s := g.Share
	want := 26*time.Hour + 3*time.Minute + 4500*time.Millisecond
	if s.LockDuration != 40*time.Second || s.OffsetReset != "by_duration" || s.OffsetResetBy != want || !s.ReadCommitted {
		t.Errorf("%+v", s)
	}
	if !s.KeyOrdering || s.RetryBackoff != 250*time.Millisecond || s.RetryMultiple != 2 || s.RetryMax != time.Minute || !s.RedeliverFirst {
		t.Errorf("%+v", s)
	}
}

// A duration that no clock could hold is the longest there is, not a negative one.
func TestDurationsOfOffsetResetDoNotOverflow(t *testing.T) {
	for _, v := range []string{"P99999999999999D", "PT9999999999999999H", "P106751DT23H47M16.854S"} {
		d, ok := parseISODuration(v)
		if !ok || d < 0 {
			t.Errorf("%s: %v %v", v, d, ok)
		}
	}
	if _, ok := parseISODuration("1 day"); ok {
		t.Error("1 day is no ISO duration")
	}
}

func TestGroupBoundsAreBrokerKeys(t *testing.T) {
	for name, want := range map[string][2]string{
		"share.record.lock.duration.ms": {"group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"},
		"streams.num.standby.replicas":  {"", "group.streams.max.standby.replicas"},
		"consumer.session.timeout.ms":   {"group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"},
		"share.auto.offset.reset":       {"", ""},
	} {
		if low, high := GroupBounds(name); low != want[0] || high != want[1] {
			t.Errorf("%s: %q %q", name, low, high)
		}
	}
}
