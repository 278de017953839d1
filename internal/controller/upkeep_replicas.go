package controller

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// drain moves the replicas of draining brokers to others.
func (u *upkeep) drain() {
	brokers := u.c.img.Brokers
	drains := func(id kafka.BrokerID) bool { return brokers[id] != nil && brokers[id].Draining }
	stuck := map[kafka.BrokerID]int{}
	u.each(func(t *metadata.Topic, index int32, p *metadata.Partition) bool {
		if p.Reassigning() || !slices.ContainsFunc(p.Replicas, drains) {
			return true
		}
		if u.moves <= 0 {
			return false
		}
		target := slices.Clone(p.Replicas)
		var moved []kafka.BrokerID
		for i, id := range target {
			if !drains(id) {
				continue
			}
			others := slices.Delete(slices.Clone(target), i, i+1)
			to, found := u.taker(others, id)
			if !found || !u.c.alive(p.Leader) {
				stuck[id]++
				continue
			}
			target[i], moved = to, append(moved, id)
		}
		if len(moved) > 0 {
			u.move(t, index, p, target, "brokers %v are draining", moved)
		}
		return true
	})
	for _, id := range sortedKeys(stuck) {
		u.note("%d replicas stay on broker %d, which is draining: their partitions have no leader to copy from, or no other broker can take them", stuck[id], id)
	}
}

// taker is the broker that should get a replica beside others: in a rack of which none of them is, if there is one, and of those the one
// that holds the least. Those in never are not asked.
func (u *upkeep) taker(others []kafka.BrokerID, never ...kafka.BrokerID) (kafka.BrokerID, bool) {
	best, bestShares := kafka.NoBroker, false
	for _, id := range u.takers {
		if slices.Contains(others, id) || slices.Contains(never, id) {
			continue
		}
		shares := u.sharesRack(id, others)
		if best == kafka.NoBroker || bestShares && !shares || bestShares == shares && u.holds[id] < u.holds[best] {
			best, bestShares = id, shares
		}
	}
	return best, best != kafka.NoBroker
}

func (u *upkeep) sharesRack(id kafka.BrokerID, others []kafka.BrokerID) bool {
	rack := u.rack(id)
	return slices.ContainsFunc(others, func(o kafka.BrokerID) bool { return u.rack(o) == rack })
}

func (u *upkeep) rack(id kafka.BrokerID) string {
	if b := u.c.img.Brokers[id]; b != nil {
		return b.Rack
	}
	return ""
}

// move begins a reassignment.
func (u *upkeep) move(t *metadata.Topic, index int32, p *metadata.Partition, target []kafka.BrokerID, because string, args ...any) {
	next, changed := u.c.reassign(t, p, target, online)
	if !changed {
		return
	}
	u.note("%s-%d goes from brokers %v to %v: "+because, append([]any{t.Name, index, p.Replicas, target}, args...)...)
	u.put(t, index, p, next)
	u.moves--
}

// spreadReplicas moves replicas from brokers that have many to those that have few, such as new ones. A topic's replicas become even as
// well, because a broker gives away only those of topics of which it has more than the taker. Racks are not crowded for it.
func (u *upkeep) spreadReplicas() {
	if len(u.takers) < 2 {
		return
	}
	for _, from := range u.byLoad(u.holds) {
		if u.moves <= 0 || !u.uneven(u.holds, from) {
			return
		}
		for _, t := range u.topics {
			if u.moves <= 0 || !u.uneven(u.holds, from) {
				break
			}
			if u.balances(t) {
				u.spreadTopic(t, from)
			}
		}
	}
}

func (u *upkeep) spreadTopic(t *metadata.Topic, from kafka.BrokerID) {
	has := map[kafka.BrokerID]int{}
	for i := range t.Partitions {
		p := u.c.partition(t, int32(i))
		for _, id := range p.Replicas {
			if !slices.Contains(p.Removing, id) {
				has[id]++
			}
		}
	}
	for i := range t.Partitions {
		p := u.c.partition(t, int32(i))
		at := slices.Index(p.Replicas, from)
		if at < 0 || p.Reassigning() || !u.c.alive(p.Leader) || len(p.ISR) < len(p.Replicas) {
			continue
		}
		others := slices.Delete(slices.Clone(p.Replicas), at, at+1)
		crowds := u.sharesRack(from, others)
		to := kafka.NoBroker
		for _, id := range u.takers {
			switch {
			case slices.Contains(p.Replicas, id) || has[from] <= has[id] || !beyond(u.holds[from], u.holds[id]):
			case !crowds && u.rack(id) != u.rack(from) && u.sharesRack(id, others):
			case to == kafka.NoBroker || u.holds[id] < u.holds[to]:
				to = id
			}
		}
		if to == kafka.NoBroker {
			continue
		}
		target := slices.Clone(p.Replicas)
		target[at] = to
		has[from]--
		has[to]++
		u.move(t, int32(i), p, target, "broker %d holds %d replicas and broker %d holds %d", from, u.holds[from], to, u.holds[to])
		if u.moves <= 0 || !u.uneven(u.holds, from) {
			return
		}
	}
}

// beyond reports whether a difference is worth a move.
func beyond(most, least int) bool { return most-least > max(tolerance, most/toleranceDivisor) }

// uneven reports whether a broker has so much more than some taker that something should move.
func (u *upkeep) uneven(load map[kafka.BrokerID]int, from kafka.BrokerID) bool {
	return slices.ContainsFunc(u.takers, func(id kafka.BrokerID) bool { return beyond(load[from], load[id]) })
}

// byLoad are the takers, the one with the most first.
func (u *upkeep) byLoad(load map[kafka.BrokerID]int) []kafka.BrokerID {
	list := slices.Clone(u.takers)
	slices.SortStableFunc(list, func(a, b kafka.BrokerID) int { return cmp.Compare(load[b], load[a]) })
	return list
}
