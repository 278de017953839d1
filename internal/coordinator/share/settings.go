package share

import (
	"time"

	"github.com/rafka-io/rafka/internal/config"
)

// Settings are what the group's settings mean for a partition. They may change while it runs (SetSettings).
type Settings struct {
	MaxLocks      int           // share.partition.max.record.locks: records delivered and neither acknowledged nor archived; at the limit nothing new is acquired, redelivery goes on
	MaxWindow     int           // offsets between start and end that are remembered one by one; at the limit nothing new is read. 0: DefaultMaxWindow
	MaxFragments  int           // stretches of equal state that are to be remembered across restarts; at the limit nothing new is acquired. 0: DefaultMaxFragments
	DeliveryLimit int           // share.delivery.count.limit
	LockDuration  time.Duration // share.record.lock.duration.ms
	Renew         bool          // share.renew.acknowledge.enable
	DeadLetter    bool          // errors.deadletterqueue.topic.name is set: rejected and used-up records wait in Archiving until DeadLettered

	KeyOrdering    bool          // share.ordering=key
	RetryBackoff   time.Duration // share.retry.backoff.ms; 0: none
	RetryMultiple  float64       // share.retry.backoff.multiplier, per delivery after the first; below 1 counts as 1
	RetryMax       time.Duration // share.retry.backoff.max.ms; 0: no ceiling
	RedeliverFirst bool          // share.redelivery.priority=high
}

const (
	// DefaultMaxWindow is room for a million delayed records and what is delivered between them, at 12 bytes each, 24 more with keys, 8 more with times.
	DefaultMaxWindow = 2_000_000
	// DefaultMaxFragments is what fits a snapshot record of about half a MiB, 27 bytes each.
	DefaultMaxFragments = 20_000
)

// SettingsOf is what the settings of a group mean.
func SettingsOf(g config.ShareGroup) Settings {
	return Settings{
		MaxLocks: g.MaxRecordLocks, DeliveryLimit: g.DeliveryCountLimit, LockDuration: g.LockDuration, Renew: g.RenewEnabled, DeadLetter: g.DeadLetterTopic != "",
		KeyOrdering: g.KeyOrdering, RetryBackoff: g.RetryBackoff, RetryMultiple: g.RetryMultiple, RetryMax: g.RetryMax, RedeliverFirst: g.RedeliverFirst,
	}
}

func (s Settings) withDefaults() Settings {
	if s.MaxWindow <= 0 {
		s.MaxWindow = DefaultMaxWindow
	}
	if s.MaxFragments <= 0 {
		s.MaxFragments = DefaultMaxFragments
	}
	return s
}
