package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ISRMember is a replica that its leader holds to be in sync.
type ISRMember struct {
	ID    kafka.BrokerID
	Epoch int64 // of its registration, as its fetches said (KIP-903); -1: not checked
}

// ISRChange is what the leader of a partition proposes about it. The epochs are those of the state it starts from.
type ISRChange struct {
	TopicID        kafka.UUID
	Partition      int32
	LeaderEpoch    kafka.LeaderEpoch
	PartitionEpoch int32
	ISR            []ISRMember
}

// AlterPartition decides about each proposal of a leader on its own. by is the leader and byEpoch the epoch of its registration. A proposal
// that changes nothing is fine and makes no record; one that completes a reassignment ends it.
//
// Errors: StaleBrokerEpoch (of all: by has registered anew since), UnknownTopicID, UnknownTopicOrPartition, NotController (the sender knows
// more than this image: it is another's to decide), FencedLeaderEpoch, InvalidUpdateVersion (the state has changed since), IneligibleReplica,
// InvalidRequest, and NewLeaderElected: the change is made, and the sender leads no more.
func AlterPartition(env *Env, img *metadata.Image, by kafka.BrokerID, byEpoch int64, list []ISRChange) ([]metadata.Record, []error) {
	errs := make([]error, len(list))
	if b := img.Brokers[by]; b == nil || b.Epoch != byEpoch {
		for i := range errs {
			errs[i] = kafka.Errorf(kafka.StaleBrokerEpoch, "broker %d is not registered with epoch %d; it has to register first", by, byEpoch)
		}
		return nil, errs
	}
	c := newChanges(env, img)
	if len(list) > 1 {
		c.made = make(map[partitionKey]metadata.Partition, len(list))
	}
	for i := range list {
		errs[i] = c.alterISR(by, &list[i])
	}
	return c.records, errs
}

func (c *changes) alterISR(by kafka.BrokerID, q *ISRChange) error {
	t := c.img.Topics.ByID(q.TopicID)
	if t == nil {
		return kafka.Errorf(kafka.UnknownTopicID, "This server does not host this topic ID.")
	}
	p := c.partition(t, q.Partition)
	if p == nil {
		return kafka.Errorf(kafka.UnknownTopicOrPartition, "topic %s has no partition %d", t.Name, q.Partition)
	}
	if err := c.checkISR(by, t, p, q); err != nil {
		return err
	}
	g := asIs(p)
	g.isr = make([]kafka.BrokerID, len(q.ISR))
	for i, m := range q.ISR {
		g.isr[i] = m.ID
	}
	next, changed := c.settle(t, p, g)
	if changed {
		c.put(t, q.Partition, next)
	}
	if next.Leader != by {
		return kafka.Errorf(kafka.NewLeaderElected, "the change of %s-%d is made, and broker %d leads it from now on", t.Name, q.Partition, next.Leader)
	}
	return nil
}

func (c *changes) checkISR(by kafka.BrokerID, t *metadata.Topic, p *metadata.Partition, q *ISRChange) error {
	switch {
	case q.LeaderEpoch > p.LeaderEpoch || q.PartitionEpoch > p.PartitionEpoch:
		return kafka.Errorf(kafka.NotController, "%s-%d is at leader epoch %d and partition epoch %d here, the request says %d and %d: ask the broker that decides now",
			t.Name, q.Partition, p.LeaderEpoch, p.PartitionEpoch, q.LeaderEpoch, q.PartitionEpoch)
	case q.LeaderEpoch < p.LeaderEpoch:
		return kafka.Errorf(kafka.FencedLeaderEpoch, "%s-%d is at leader epoch %d, the request says %d", t.Name, q.Partition, p.LeaderEpoch, q.LeaderEpoch)
	case p.Leader != by:
		return kafka.Errorf(kafka.InvalidRequest, "%s-%d is led by broker %d, not %d", t.Name, q.Partition, p.Leader, by)
	case q.PartitionEpoch < p.PartitionEpoch:
		return kafka.Errorf(kafka.InvalidUpdateVersion, "%s-%d is at partition epoch %d, the request says %d", t.Name, q.Partition, p.PartitionEpoch, q.PartitionEpoch)
	}
	leads := false
	for i, m := range q.ISR {
		if !slices.Contains(p.Replicas, m.ID) || slices.ContainsFunc(q.ISR[:i], func(o ISRMember) bool { return o.ID == m.ID }) {
			return kafka.Errorf(kafka.InvalidRequest, "broker %d cannot be in sync with %s-%d, or not twice: its replicas are %v", m.ID, t.Name, q.Partition, p.Replicas)
		}
		leads = leads || m.ID == by
	}
	if !leads {
		return kafka.Errorf(kafka.InvalidRequest, "the leader of %s-%d, %d, must be in sync with itself", t.Name, q.Partition, by)
	}
	for _, m := range q.ISR {
		if why := c.ineligible(by, m); why != "" {
			return kafka.Errorf(kafka.IneligibleReplica, "broker %d cannot be in sync with %s-%d: it is %s", m.ID, t.Name, q.Partition, why)
		}
	}
	return nil
}

// ineligible says why a broker must not join an ISR; "": it may. A leader that shuts down may say who else is in sync, because that is how
// it gets rid of what it leads.
func (c *changes) ineligible(by kafka.BrokerID, m ISRMember) string {
	switch b := c.img.Brokers[m.ID]; {
	case b == nil:
		return "not registered"
	case b.Fenced:
		return "fenced"
	case b.ShuttingDown && m.ID != by:
		return "shutting down"
	case m.Epoch != -1 && m.Epoch != b.Epoch:
		return "registered anew since"
	}
	return ""
}
