package controller

import (
	"maps"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// preferLeaders hands partitions back to the first of their replicas. A broker that comes back gets its leaders all at once when it is in
// sync again, not one by one: below a tenth it is not worth it.
func (u *upkeep) preferLeaders() {
	elsewhere := map[kafka.BrokerID]int{}
	mayLead := func(p *metadata.Partition) bool {
		first := p.Replicas[0]
		return p.Leader != first && !p.Reassigning() && slices.Contains(u.takers, first) && slices.Contains(p.ISR, first)
	}
	u.each(func(_ *metadata.Topic, _ int32, p *metadata.Partition) bool {
		if mayLead(p) {
			elsewhere[p.Replicas[0]]++
		}
		return true
	})
	back := map[kafka.BrokerID]int{}
	maps.DeleteFunc(elsewhere, func(id kafka.BrokerID, n int) bool { return n*toleranceDivisor <= u.leads[id] })
	if len(elsewhere) == 0 {
		return
	}
	u.each(func(t *metadata.Topic, index int32, p *metadata.Partition) bool {
		if elsewhere[p.Replicas[0]] > 0 && mayLead(p) {
			u.hand(t, index, p, p.Replicas)
			back[p.Replicas[0]]++
		}
		return u.hands > 0
	})
	for _, id := range sortedKeys(back) {
		u.note("broker %d leads %d partitions again: it is the first of their replicas, and more than a tenth of its partitions were led elsewhere", id, back[id])
	}
}

// spreadLeaders puts another replica first where one broker is first far more often than another that has the partition too.
func (u *upkeep) spreadLeaders() {
	for _, from := range u.byLoad(u.leads) {
		if u.hands <= 0 || !u.uneven(u.leads, from) {
			return
		}
		given := 0
		u.each(func(t *metadata.Topic, index int32, p *metadata.Partition) bool {
			if p.Replicas[0] != from || p.Reassigning() || p.Leader != from || !u.balances(t) {
				return true
			}
			best := 0
			for i, id := range p.Replicas {
				if slices.Contains(u.takers, id) && slices.Contains(p.ISR, id) && beyond(u.leads[from], u.leads[id]) && u.leads[id] < u.leads[p.Replicas[best]] {
					best = i
				}
			}
			if best > 0 {
				target := slices.Clone(p.Replicas)
				target[0], target[best] = target[best], target[0]
				u.hand(t, index, p, target)
				given++
			}
			return u.hands > 0 && u.uneven(u.leads, from)
		})
		if given > 0 {
			u.note("others lead %d of the partitions of broker %d, which was the first of their replicas more often than they", given, from)
		}
	}
}

// hand makes the first of the replicas, which are only in another order, the leader.
func (u *upkeep) hand(t *metadata.Topic, index int32, p *metadata.Partition, replicas []kafka.BrokerID) {
	g := asIs(p)
	g.replicas, g.how = u.c.shared(replicas), preferred
	if next, changed := u.c.settle(t, p, g); changed {
		u.put(t, index, p, next)
		u.hands--
	}
}

func sortedKeys(m map[kafka.BrokerID]int) []kafka.BrokerID { return slices.Sorted(maps.Keys(m)) }
