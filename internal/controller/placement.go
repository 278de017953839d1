package controller

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// place spreads count partitions of replication replicas each, the first of which is number first of its topic. Brokers that are alive and not
// draining come first; only where there are too few, the others are taken, and fenced ones get replicas that are not in sync.
//
// The brokers stand in a ring in which racks take turns. Partition i begins at broker start+i of it, and each time the ring has been gone
// round, the other replicas move on by one more, so that the leaders of a broker that dies go to all others. Replicas of one partition are
// on as many racks as there are. Whatever first is, a topic has the same replicas as if it had been made at once.
func place(img *metadata.Image, start uint32, first, count int32, replication int16) ([]metadata.PartitionRun, error) {
	classes, living := ranked(img)
	switch {
	case len(img.Brokers) < int(replication):
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "The target replication factor of %d cannot be reached because only %d broker(s) are registered.", replication, len(img.Brokers))
	case living == 0:
		return nil, kafka.Errorf(kafka.InvalidReplicationFactor, "All brokers are currently fenced.")
	}
	if len(classes) == 1 && len(classes[0]) == 1 {
		only := []kafka.BrokerID{classes[0][0].ID}
		return []metadata.PartitionRun{run(count, only, only)}, nil
	}
	pl := placing{classes: classes, replication: int(replication), sets: map[[2]int]metadata.PartitionRun{}}
	runs := make([]metadata.PartitionRun, count)
	for i := range runs {
		runs[i] = pl.partition(uint64(start), uint64(first)+uint64(i))
	}
	return compress(runs), nil
}

// ranked are the brokers by how welcome they are as replicas: alive, draining, shutting down, fenced; each class as a ring in which racks
// take turns. living is how many may lead.
func ranked(img *metadata.Image) (classes [][]*metadata.Broker, living int) {
	var by [4][]*metadata.Broker
	for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
		b := img.Brokers[id]
		switch s := standingOf(b); {
		case s == absent:
			by[3] = append(by[3], b)
		case s == leaving:
			by[2] = append(by[2], b)
		case b.Draining:
			by[1] = append(by[1], b)
		default:
			by[0] = append(by[0], b)
		}
	}
	for _, class := range by {
		if len(class) > 0 {
			classes = append(classes, ring(class))
		}
	}
	return classes, len(by[0]) + len(by[1])
}

// ring puts brokers, which are in the order of their ids, into an order in which racks take turns.
func ring(brokers []*metadata.Broker) []*metadata.Broker {
	seen := map[string]int{}
	turn := make(map[kafka.BrokerID]int, len(brokers))
	for _, b := range brokers {
		turn[b.ID] = seen[b.Rack]
		seen[b.Rack]++
	}
	slices.SortStableFunc(brokers, func(a, b *metadata.Broker) int {
		return cmp.Or(cmp.Compare(turn[a.ID], turn[b.ID]), strings.Compare(a.Rack, b.Rack))
	})
	return brokers
}

// placing chooses replicas for the partitions of one topic.
type placing struct {
	classes     [][]*metadata.Broker
	replication int
	sets        map[[2]int]metadata.PartitionRun // those chosen so far, by where they begin and how far the others have moved on
}

func (pl *placing) partition(start, index uint64) metadata.PartitionRun {
	n := uint64(len(pl.classes[0]))
	at := [2]int{int((start + index) % n), int(index / n % max(n-1, 1))}
	if len(pl.classes) > 1 && int(n) < pl.replication {
		at[1] = int(index / n % 64) // the rest of the classes turn as well; how far is not important as long as it is bounded
	}
	if r, known := pl.sets[at]; known {
		return r
	}
	r := pl.choose(at[0], at[1])
	pl.sets[at] = r
	return r
}

// choose takes replicas class by class; within one, a rack gets its second replica only when every rack in it has its first.
func (pl *placing) choose(begin, shift int) metadata.PartitionRun {
	var replicas, isr []kafka.BrokerID
	racks := map[string]int{}
	for _, class := range pl.classes {
		n := len(class)
		order := []*metadata.Broker{class[begin%n]}
		for i := range n - 1 {
			order = append(order, class[(begin+1+(shift+i)%(n-1))%n])
		}
		for level := 1; len(replicas) < pl.replication && len(order) > 0; level++ {
			rest := order[:0]
			for _, b := range order {
				if len(replicas) == pl.replication || racks[b.Rack] >= level {
					rest = append(rest, b)
					continue
				}
				racks[b.Rack]++
				replicas = append(replicas, b.ID)
				if standingOf(b) == alive {
					isr = append(isr, b.ID)
				}
			}
			order = rest
		}
	}
	if len(isr) == len(replicas) {
		isr = replicas
	}
	return run(1, replicas, isr)
}

// run is count new partitions: the first in-sync replica leads (CTL-2), all epochs are 0 (CTL-3).
func run(count int32, replicas, isr []kafka.BrokerID) metadata.PartitionRun {
	return metadata.PartitionRun{Count: count, Partition: metadata.Partition{Replicas: replicas, ISR: isr, Leader: isr[0]}}
}

// assigned checks replicas that somebody chose by hand. replication is what every partition must have; 0: any number.
func assigned(img *metadata.Image, partition int32, replicas []kafka.BrokerID, replication int) (metadata.PartitionRun, error) {
	const code = kafka.InvalidReplicaAssignment
	var none metadata.PartitionRun
	if err := checkReplicas(img, replicas); err != nil {
		return none, err
	}
	if replication > 0 && len(replicas) != replication {
		return none, kafka.Errorf(code, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), replication)
	}
	var isr []kafka.BrokerID
	for _, id := range replicas {
		if standingOf(img.Brokers[id]) == alive {
			isr = append(isr, id)
		}
	}
	if len(isr) == 0 {
		return none, kafka.Errorf(code, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", partition)
	}
	return run(1, slices.Clone(replicas), isr), nil
}

// compress joins neighbours that are alike, so that a hand-made assignment of 10,000 partitions to one broker is one run. It works in place.
func compress(runs []metadata.PartitionRun) []metadata.PartitionRun {
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].Leader == r.Leader && slices.Equal(out[n-1].Replicas, r.Replicas) && slices.Equal(out[n-1].ISR, r.ISR) {
			out[n-1].Count += r.Count
			continue
		}
		out = append(out, r)
	}
	return out
}
