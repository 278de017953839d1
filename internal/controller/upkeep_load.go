package controller

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

const (
	// A leader of a partition has about twice the work of a follower: it takes the records in and gives them out.
	leadWork, followWork = 2, 1
	// leastLoad is a difference of work between two brokers, in bytes a second, that is never worth a move; nor is one below a part of the mean.
	leastLoad, loadDivisor = 1 << 20, 5
	// leastGain is by how much the busier of two brokers must get less to do, as a part of what is a difference: so that a move is never taken back.
	leastGain = 4
	// payback is how many seconds of the traffic that goes elsewhere may be copied for it.
	payback = 24 * 60 * 60
	// loadSteps bounds the steps of one call of Upkeep for the sake of load.
	loadSteps = 5
)

// hot is a partition with traffic.
type hot struct {
	t     *metadata.Topic
	index int32
	Load
}

// loadStep is what could be done about the busiest broker.
type loadStep struct {
	hot
	to   kafka.BrokerID
	work int64 // that goes there
	peak int64 // what the busier of the two has to do afterwards
	copy bool  // the replica moves, not only who leads
}

// spreadLoad takes work from the busiest brokers: a partition is led by another of its replicas if that helps, which costs nothing, else a replica moves. It never
// makes the numbers of replicas and leaders so uneven that they would be evened out again, and each step makes the busier of two brokers less
// busy by something that counts; so under a steady load it comes to rest.
func (u *upkeep) spreadLoad() {
	if len(u.c.env.Loads) == 0 || len(u.takers) < 2 {
		return
	}
	parts, work := u.hotPartitions()
	for range loadSteps {
		total := int64(0)
		for _, id := range u.takers {
			total += work[id]
		}
		worth := max(leastLoad, total/int64(len(u.takers))/loadDivisor)
		from := slices.MaxFunc(u.takers, func(a, b kafka.BrokerID) int { return cmp.Or(cmp.Compare(work[a], work[b]), cmp.Compare(b, a)) })
		if !slices.ContainsFunc(u.takers, func(id kafka.BrokerID) bool { return work[from]-work[id] > worth }) {
			return
		}
		s, found := u.bestStep(parts, work, from, worth/leastGain)
		if !found {
			return
		}
		u.takeStep(&s, work, from)
	}
}

// hotPartitions are the partitions with traffic, those with most first, and what each broker has to do for them.
func (u *upkeep) hotPartitions() (parts []hot, work map[kafka.BrokerID]int64) {
	work = map[kafka.BrokerID]int64{}
	for _, l := range u.c.env.Loads {
		t := u.c.img.Topics.ByID(l.Topic)
		if t == nil || l.BytesPerSecond <= 0 {
			continue
		}
		p := u.c.partition(t, l.Partition)
		if p == nil {
			continue
		}
		parts = append(parts, hot{t, l.Partition, l})
		for i, id := range goalOf(p) {
			work[id] += l.BytesPerSecond * weight(i)
		}
	}
	slices.SortFunc(parts, func(a, b hot) int {
		return cmp.Or(cmp.Compare(b.BytesPerSecond, a.BytesPerSecond), cmp.Compare(a.t.Name, b.t.Name), cmp.Compare(a.index, b.index))
	})
	return parts, work
}

// goalOf are the replicas that a partition will have when its reassignment is done.
func goalOf(p *metadata.Partition) []kafka.BrokerID {
	if len(p.Removing) == 0 {
		return p.Replicas
	}
	return slices.DeleteFunc(slices.Clone(p.Replicas), func(id kafka.BrokerID) bool { return slices.Contains(p.Removing, id) })
}

// weight is the work of the i-th of a partition's replicas: the first is to lead.
func weight(i int) int64 {
	if i == 0 {
		return leadWork
	}
	return followWork
}

// bestStep is the step that leaves the least to do to the busier of both brokers. Who leads is changed before anything is copied.
func (u *upkeep) bestStep(parts []hot, work map[kafka.BrokerID]int64, from kafka.BrokerID, gain int64) (best loadStep, found bool) {
	consider := func(h hot, to kafka.BrokerID, moved int64, copied bool) {
		peak := max(work[from]-moved, work[to]+moved)
		if peak > work[from]-gain || found && (best.peak < peak || best.peak == peak && best.to <= to) {
			return
		}
		best, found = loadStep{h, to, moved, peak, copied}, true
	}
	for _, copied := range []bool{false, true} {
		for _, h := range parts {
			p := u.c.partition(h.t, h.index)
			at := slices.Index(p.Replicas, from)
			if at < 0 || p.Reassigning() || !u.c.alive(p.Leader) || !u.balances(h.t) {
				continue
			}
			if !copied {
				for _, to := range p.Replicas {
					if at == 0 && to != from && slices.Contains(p.ISR, to) && u.mayGet(to, from, false, true) {
						consider(h, to, h.BytesPerSecond*(leadWork-followWork), false)
					}
				}
				continue
			}
			if u.moves <= 0 || len(p.ISR) < len(p.Replicas) || h.Size/payback > h.BytesPerSecond {
				continue
			}
			others := slices.Delete(slices.Clone(p.Replicas), at, at+1)
			crowds := u.sharesRack(from, others)
			for _, to := range u.takers {
				if slices.Contains(p.Replicas, to) || !crowds && u.sharesRack(to, others) || !u.mayGet(to, from, true, at == 0) {
					continue
				}
				consider(h, to, h.BytesPerSecond*weight(at), true)
			}
		}
		if found {
			return best, true
		}
	}
	return best, false
}

// mayGet reports whether a broker may get one more, a replica or a partition that it is the first of, without being evened out for it.
func (u *upkeep) mayGet(to, from kafka.BrokerID, replica, first bool) bool {
	fits := func(counts map[kafka.BrokerID]int) bool {
		return !slices.ContainsFunc(u.takers, func(id kafka.BrokerID) bool {
			n := counts[id]
			if id == from {
				n--
			}
			return id != to && beyond(counts[to]+1, n)
		}) && !slices.ContainsFunc(u.takers, func(id kafka.BrokerID) bool {
			return id != to && id != from && beyond(counts[id], counts[from]-1)
		})
	}
	return slices.Contains(u.takers, to) && (!replica || fits(u.holds)) && (!first || fits(u.leads))
}

// takeStep does it.
func (u *upkeep) takeStep(s *loadStep, work map[kafka.BrokerID]int64, from kafka.BrokerID) {
	p := u.c.partition(s.t, s.index)
	target := slices.Clone(p.Replicas)
	at := slices.Index(target, from)
	because := []any{from, perSecond(work[from]), s.to, perSecond(work[s.to]), perSecond(s.BytesPerSecond)}
	if s.copy {
		target[at] = s.to
		u.move(s.t, s.index, p, target, "broker %d has to do with %s and broker %d with %s, of which the partition is %s", because...)
	} else {
		to := slices.Index(target, s.to)
		target[at], target[to] = target[to], target[at]
		u.hand(s.t, s.index, p, target)
		u.note("%s-%d is led by broker %d, which has it too: broker %d has to do with %s and broker %d with %s, of which the partition is %s", append([]any{s.t.Name, s.index, s.to}, because...)...)
	}
	work[from] -= s.work
	work[s.to] += s.work
}
