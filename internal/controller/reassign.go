package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Reassignment asks that a partition has these replicas, the first one preferred to lead; nil: that the one under way is cancelled.
type Reassignment struct {
	kafka.TopicPartition
	Replicas []kafka.BrokerID
}

// AlterReassignments decides about each partition on its own. What needs no new replica happens at once; else the new ones are added, and
// when all that are to stay are in sync, the others go (AlterPartition). Another reassignment in place of one under way starts from the
// replicas there were before both.
//
// Errors: UnknownTopicOrPartition, InvalidReplicaAssignment, NoReassignmentInProgress, InvalidReplicationFactor (the number of replicas
// would change and allowReplicationChange is false).
func AlterReassignments(env *Env, img *metadata.Image, list []Reassignment, allowReplicationChange bool) ([]metadata.Record, []error) {
	c := newChanges(env, img)
	if len(list) > 1 {
		c.made = make(map[partitionKey]metadata.Partition, len(list))
	}
	errs := make([]error, len(list))
	for i := range list {
		errs[i] = c.alterReassignment(&list[i], allowReplicationChange)
	}
	return c.records, errs
}

func (c *changes) alterReassignment(r *Reassignment, allowReplicationChange bool) error {
	t := c.img.Topics.ByName(r.Topic)
	if t == nil {
		return kafka.Errorf(kafka.UnknownTopicOrPartition, "Unable to find a topic named %s.", r.Topic)
	}
	p := c.partition(t, r.Partition)
	if p == nil {
		return kafka.Errorf(kafka.UnknownTopicOrPartition, "Unable to find partition %s:%d.", r.Topic, r.Partition)
	}
	target := r.Replicas
	if target == nil {
		if !p.Reassigning() {
			return kafka.Errorf(kafka.NoReassignmentInProgress, "No partition reassignment is in progress.")
		}
		target = c.original(p)
	} else {
		if err := checkReplicas(c.img, target); err != nil {
			return err
		}
		if now := len(p.Replicas) - len(p.Removing); len(target) != now && !allowReplicationChange {
			return kafka.Errorf(kafka.InvalidReplicationFactor, "The replication factor is changed from %d to %d", now, len(target))
		}
	}
	next, changed := c.reassign(t, p, target, online)
	if len(next.ISR) == 0 && len(p.ISR) > 0 || next.Leader == kafka.NoBroker && p.Leader != kafka.NoBroker {
		return kafka.Errorf(kafka.InvalidReplicaAssignment, "Unable to revert partition assignment for %s:%d because it would require an unclean leader election.", r.Topic, r.Partition)
	}
	if changed {
		c.put(t, r.Partition, next)
	}
	return nil
}

// original are the replicas there were before the reassignment under way.
func (c *changes) original(p *metadata.Partition) []kafka.BrokerID {
	return c.keep(p.Replicas, func(id kafka.BrokerID) bool { return !slices.Contains(p.Adding, id) })
}

// reassign is the state in which a partition is on its way to other replicas, or there if nothing has to be copied. Those that a
// reassignment under way was adding and that are no longer wanted go at once.
func (c *changes) reassign(t *metadata.Topic, p *metadata.Partition, target []kafka.BrokerID, how election) (metadata.Partition, bool) {
	target, original := c.shared(target), c.original(p)
	g := asIs(p)
	g.how = how
	g.adding = c.keep(target, func(id kafka.BrokerID) bool { return !slices.Contains(original, id) })
	g.removing = c.keep(original, func(id kafka.BrokerID) bool { return !slices.Contains(target, id) })
	c.scratch = append(append(c.scratch[:0], target...), g.removing...)
	g.replicas = c.shared(c.scratch)
	return c.settle(t, p, g)
}

// checkReplicas refuses a list of replicas that nobody can have.
func checkReplicas(img *metadata.Image, replicas []kafka.BrokerID) error {
	const code = kafka.InvalidReplicaAssignment
	if len(replicas) == 0 {
		return kafka.Errorf(code, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		if img.Brokers[id] == nil {
			return kafka.Errorf(code, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return kafka.Errorf(code, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	return nil
}

// ReassigningPartition is a reassignment under way. Replicas are all there are, the added and those to be removed included.
type ReassigningPartition struct {
	kafka.TopicPartition
	Replicas, Adding, Removing []kafka.BrokerID
}

// Reassigning lists the reassignments under way, by topic and partition.
func Reassigning(img *metadata.Image) []ReassigningPartition {
	var list []ReassigningPartition
	for _, t := range topicsWith(img, (*metadata.Partition).Reassigning) {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.Reassigning() {
				list = append(list, ReassigningPartition{kafka.TopicPartition{Topic: t.Name, Partition: int32(i)}, p.Replicas, p.Adding, p.Removing})
			}
		}
	}
	return list
}
