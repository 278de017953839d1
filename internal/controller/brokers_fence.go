package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// FenceBroker declares a broker dead: others lead what it led, and it leaves every ISR of which it is not the last. On a broker that is
// fenced already it does what is left to do, which is something only where one call changes too many partitions; nil: nothing.
func FenceBroker(env *Env, img *metadata.Image, id kafka.BrokerID) []metadata.Record {
	b := img.Brokers[id]
	if b == nil {
		return nil
	}
	c := newChanges(env, img)
	if !b.Fenced {
		fenced := *b
		fenced.Fenced = true
		c.broker(fenced)
	}
	c.leave(id)
	return c.records
}

// leave takes a broker that is fenced from now on out of what it leads and of the ISRs of which it is not the last.
func (c *changes) leave(id kafka.BrokerID) {
	c.settleIf(func(p *metadata.Partition) bool {
		return p.Leader == id || len(p.ISR) > 1 && slices.Contains(p.ISR, id)
	}, asIs)
}

// UnfenceBroker lets a broker serve that has caught up with the metadata: it leads what has no leader and may be led by it. One that is
// shutting down stays fenced. nil: there is nothing to do.
func UnfenceBroker(env *Env, img *metadata.Image, id kafka.BrokerID) []metadata.Record {
	b := img.Brokers[id]
	if b == nil || b.ShuttingDown {
		return nil
	}
	c := newChanges(env, img)
	if b.Fenced {
		unfenced := *b
		unfenced.Fenced = false
		c.broker(unfenced)
	}
	c.settleIf(func(p *metadata.Partition) bool { return p.Leader == kafka.NoBroker && slices.Contains(p.Replicas, id) }, asIs)
	return c.records
}

// StopBroker prepares that a broker stops: from the first call it gets nothing new, and with each call what others can lead is led by
// others. done: nothing is left that could be moved, now or when a living replica has caught up; what nobody else has it serves to the end.
func StopBroker(env *Env, img *metadata.Image, id kafka.BrokerID) (records []metadata.Record, done bool) {
	b := img.Brokers[id]
	if b == nil || b.Fenced {
		return nil, true
	}
	c := newChanges(env, img)
	if !b.ShuttingDown {
		stopping := *b
		stopping.ShuttingDown = true
		c.broker(stopping)
	}
	done = true
	for t := range img.Topics.All() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if p.Leader != id {
				continue
			}
			// Whether it can go now or later, the caller asks again: this decision may be the one that hands it over, but the broker has to
			// serve until that is known everywhere.
			done = done && !slices.ContainsFunc(p.Replicas, func(other kafka.BrokerID) bool { return other != id && c.alive(other) })
		}
	}
	c.settleIf(func(p *metadata.Partition) bool { return slices.Contains(p.ISR, id) }, asIs)
	return c.records, done && !c.full()
}
