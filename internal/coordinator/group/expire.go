package group

import (
	"fmt"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// offsetExpiry is what a group has whose offsets do not simply expire so long after their commit. ok is false while none may expire.
type offsetExpiry interface {
	offsetsExpireFrom(committed kafka.Timestamp) (from kafka.Timestamp, ok bool)
}

const expiryTimer = "offsets/expire"

// scheduleExpiry sets the timer of the search for expired offsets (offsets.retention.check.interval.ms).
func (s *Shard) scheduleExpiry(op *coordinator.Op) {
	op.Schedule(expiryTimer, s.env.OffsetCheckInterval, s.expireOffsets)
}

// expireOffsets drops offsets that nobody has needed for the retention, and groups that have nothing left: no member, no offset, no
// transaction under way. Offsets of topics that live members subscribe to do not expire, nor those for which a transaction has staged one.
func (s *Shard) expireOffsets(op *coordinator.Op) {
	s.scheduleExpiry(op)
	op.Atomic(false)
	for _, name := range s.names() {
		g, ok := s.groups.Get(name)
		if !ok {
			continue
		}
		n, left := s.expireOffsetsOf(op, g)
		if n > 0 {
			op.Note(name, fmt.Sprintf("%d committed offsets expired, %d left", n, left))
		}
		if left == 0 && g.isEmpty() && mayVanish(g) && g.checkDelete() == nil {
			op.Note(name, "the group was empty and had no offsets: removed")
			g.remove(op)
		}
	}
}

// mayVanish reports whether an empty group without offsets is worth nothing to anybody. A share group has its state elsewhere and goes only on
// request; to a classic group joiners may come back with the ids that they were given.
func mayVanish(g group) bool {
	c, ok := g.(*classicGroup)
	return g.kind() != kindShare && !(ok && c.unnamed.Len() > 0)
}

// expireOffsetsOf drops the expired offsets of a group and returns how many went and how many, staged ones too, are left.
func (s *Shard) expireOffsetsOf(op *coordinator.Op, g group) (expired, left int) {
	offsets, ok := s.byGroup.Get(g.name())
	if !ok {
		return 0, 0
	}
	now, retention := millis(op.Now), kafka.Timestamp(s.env.Config(op.Image, g.name()).OffsetRetention.Milliseconds())
	due := func(c *offsetCommit) bool {
		from, ok := c.committed, true
		if own, has := g.(offsetExpiry); has {
			from, ok = own.offsetsExpireFrom(c.committed)
		}
		switch {
		case !ok || g.usesTopic(c.topic) || offsets.isStagedNow(c.offsetKey):
			return false
		case c.expires != kafka.NoTimestamp:
			return now >= c.expires
		default:
			return now-from >= retention
		}
	}
	for _, key := range offsets.keys() {
		if c, ok := offsets.committed.Get(key); ok && due(c) {
			offsets.drop(op, g.name(), key)
			expired++
		} else {
			left++
		}
	}
	return expired, left
}
