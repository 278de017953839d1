package controller

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// place spreads count partitions of replication replicas each over the brokers that are not fenced: partition i begins at broker
// start+i and takes the following ones, so leaders and replicas are even. Only the start differs between topics.
func place(img *metadata.Image, start uint32, count int32, replication int16) ([]metadata.PartitionRun, error) {
	ids, registered := candidates(img)
	switch {
	case registered < int(replication):
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "The target replication factor of %d cannot be reached because only %d broker(s) are registered.", replication, registered)
	case len(ids) == 0:
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "All brokers are currently fenced.")
	case len(ids) < int(replication):
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "The target replication factor of %d cannot be reached because only %d broker(s) are not fenced.", replication, len(ids))
	}
	sets := make([][]kafka.BrokerID, len(ids)) // the replicas of a partition that begins at this broker
	for first := range sets {
		for i := range int(replication) {
			sets[first] = append(sets[first], ids[(first+i)%len(ids)])
		}
	}
	if len(sets) == 1 {
		return []metadata.PartitionRun{run(count, sets[0], sets[0])}, nil
	}
	runs := make([]metadata.PartitionRun, count)
	for i := range runs {
		set := sets[(uint64(start)+uint64(i))%uint64(len(sets))]
		runs[i] = run(1, set, set)
	}
	return runs, nil
}

// candidates are the brokers that may lead something new (CTL-4), by id, and the number of all of them.
func candidates(img *metadata.Image) (ids []kafka.BrokerID, registered int) {
	for id, b := range img.Brokers {
		if !b.Fenced {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, len(img.Brokers)
}

// run is count new partitions: the first in-sync replica leads (CTL-2), all epochs are 0 (CTL-3).
func run(count int32, replicas, isr []kafka.BrokerID) metadata.PartitionRun {
	return metadata.PartitionRun{Count: count, Partition: metadata.Partition{Replicas: replicas, ISR: isr, Leader: isr[0]}}
}

// assigned checks replicas that somebody chose by hand. replication is what every partition must have; 0: any number.
func assigned(img *metadata.Image, partition int32, replicas []kafka.BrokerID, replication int) (metadata.PartitionRun, error) {
	const code = kafka.InvalidReplicaAssignment
	var none metadata.PartitionRun
	if len(replicas) == 0 {
		return none, kafka.Errorf(code, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for i, id := range sorted {
		if img.Brokers[id] == nil {
			return none, kafka.Errorf(code, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return none, kafka.Errorf(code, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	if replication > 0 && len(replicas) != replication {
		return none, kafka.Errorf(code, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), replication)
	}
	var isr []kafka.BrokerID
	for _, id := range replicas {
		if !img.Brokers[id].Fenced {
			isr = append(isr, id)
		}
	}
	if len(isr) == 0 {
		return none, kafka.Errorf(code, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", partition)
	}
	return run(1, slices.Clone(replicas), isr), nil
}

// compress joins neighbours that are alike, so that a hand-made assignment of 10,000 partitions to one broker is one run.
func compress(runs []metadata.PartitionRun) []metadata.PartitionRun {
	var out []metadata.PartitionRun
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].Leader == r.Leader && slices.Equal(out[n-1].Replicas, r.Replicas) && slices.Equal(out[n-1].ISR, r.ISR) {
			out[n-1].Count += r.Count
			continue
		}
		out = append(out, r)
	}
	return out
}
