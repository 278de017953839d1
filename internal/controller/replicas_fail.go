package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// FailedReplica is a replica whose log cannot be used any more: its disk has failed.
type FailedReplica struct {
	TopicID   kafka.UUID
	Partition int32
}

// FailReplicas takes a broker, which goes on with what is on its other disks, out of partitions of which its log has failed: others lead what it led, it is in
// sync no more and is not elected for what it once had. It stays where nobody else has what was acknowledged. byEpoch is the epoch of its registration. A
// partition that is not there, or of which the broker has no part, is passed over.
//
// Errors: StaleBrokerEpoch.
func FailReplicas(env *Env, img *metadata.Image, by kafka.BrokerID, byEpoch int64, list []FailedReplica) ([]metadata.Record, error) {
	if b := img.Brokers[by]; b == nil || b.Epoch != byEpoch {
		return nil, kafka.Errorf(kafka.StaleBrokerEpoch, "broker %d is not registered with epoch %d; it has to register first", by, byEpoch)
	}
	c := newChanges(env, img)
	c.made = make(map[partitionKey]metadata.Partition, len(list))
	for _, q := range list {
		t := img.Topics.ByID(q.TopicID)
		if t == nil {
			continue
		}
		p := c.partition(t, q.Partition)
		if p == nil || p.Leader != by && !slices.Contains(p.ISR, by) && !slices.Contains(p.ELR, by) {
			continue
		}
		g := asIs(p)
		g.isr = c.keep(p.ISR, func(id kafka.BrokerID) bool { return id != by })
		if !slices.ContainsFunc(g.isr, c.alive) {
			continue
		}
		g.wiped = by
		if next, changed := c.settle(t, p, g); changed {
			c.put(t, q.Partition, next)
		}
	}
	return c.records, nil
}
