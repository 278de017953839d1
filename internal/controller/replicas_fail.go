package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// FailedReplica is a replica whose log cannot be used any more, for its disk has failed, or not now, for that is full.
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
	return takeOut(env, img, by, byEpoch, list, by)
}

// StepOut takes a broker, which has no room for more, out of the replicas in sync of partitions, so that others lead them and acknowledge without it. Unlike
// one whose disk has failed it has everything that was acknowledged until then, and may be elected for that where too few are left. It comes back as every
// follower does. The rest is as of FailReplicas.
func StepOut(env *Env, img *metadata.Image, by kafka.BrokerID, byEpoch int64, list []FailedReplica) ([]metadata.Record, error) {
	return takeOut(env, img, by, byEpoch, list, kafka.NoBroker)
}

// takeOut takes a broker out of the replicas in sync of partitions where another one that is alive is left. wiped is who has lost what it had.
func takeOut(env *Env, img *metadata.Image, by kafka.BrokerID, byEpoch int64, list []FailedReplica, wiped kafka.BrokerID) ([]metadata.Record, error) {
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
		g.wiped = wiped
		if next, changed := c.settle(t, p, g); changed {
			c.put(t, q.Partition, next)
		}
	}
	return c.records, nil
}
