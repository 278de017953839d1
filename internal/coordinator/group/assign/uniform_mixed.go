package assign

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A class is the topics that the same members subscribe to. There are few, however many topics there are.
type class struct {
	subscribers []int32
	partitions  []place
	kept        int // the first so many of partitions are where they were
}

// place is a partition by the index of its topic.
type place struct{ topic, partition int32 }

// uniformMixed fills own and loads where members subscribe to different topics: everything is kept, what is free goes to the least loaded, and
// then partitions move from the more to the less loaded while that helps.
func (p *problem) uniformMixed(members []Member, own ownership, loads []int32) {
	for at, i := range p.members {
		p.kept(at, &members[i], func(t, part int32) {
			if own[t][part] == noOwner {
				own[t][part] = int32(at)
				loads[at]++
			}
		})
	}
	classes := p.classes(own)
	for _, c := range classes {
		least := newLoadHeap(c.subscribers, loads, false)
		for _, at := range c.partitions[c.kept:] {
			to := least.members[0]
			own[at.topic][at.partition] = to
			loads[to]++
			least.changed(to)
		}
	}
	for moved := true; moved; {
		moved = false
		for _, c := range classes {
			moved = c.even(own, loads) || moved
		}
	}
}

// classes are in the order in which they are to be served: those with the fewest subscribers leave the least choice.
func (p *problem) classes(own ownership) []*class {
	subscribers := make([][]int32, len(p.topics))
	for at, subs := range p.subs {
		for _, t := range subs {
			subscribers[t] = append(subscribers[t], int32(at))
		}
	}
	var all []*class
	byKey := map[string]*class{}
	free := map[*class][]place{}
	var key []byte
	for t, list := range subscribers {
		key = key[:0]
		for _, at := range list {
			key = binary.LittleEndian.AppendUint32(key, uint32(at))
		}
		c := byKey[string(key)]
		if c == nil {
			c = &class{subscribers: list}
			byKey[string(key)] = c
			all = append(all, c)
		}
		for part, at := range own[t] {
			if here := (place{int32(t), int32(part)}); at == noOwner {
				free[c] = append(free[c], here)
			} else {
				c.partitions = append(c.partitions, here)
			}
		}
	}
	for _, c := range all {
		c.kept = len(c.partitions)
		c.partitions = append(c.partitions, free[c]...)
	}
	slices.SortStableFunc(all, func(a, b *class) int { return cmp.Compare(len(a.subscribers), len(b.subscribers)) })
	return all
}

// even moves partitions of the class from the most to the least loaded of its subscribers until their loads differ by at most one, or those
// with more have none of them left. Each move lowers the sum of the squares of all loads, so the rounds of uniformMixed end.
func (c *class) even(own ownership, loads []int32) (moved bool) {
	owned := map[int32][]place{} // the last goes first: what was not where it is now
	var givers []int32
	most := int32(0)
	for _, at := range c.partitions {
		owner := own[at.topic][at.partition]
		if owned[owner] == nil {
			givers = append(givers, owner)
			most = max(most, loads[owner])
		}
		owned[owner] = append(owned[owner], at)
	}
	if !slices.ContainsFunc(c.subscribers, func(at int32) bool { return loads[at] < most-1 }) {
		return false
	}
	from, to := newLoadHeap(givers, loads, true), newLoadHeap(c.subscribers, loads, false)
	for len(from.members) > 0 {
		giver, taker := from.members[0], to.members[0]
		list := owned[giver]
		if len(list) == 0 {
			from.drop()
			continue
		}
		if loads[giver]-loads[taker] < 2 {
			return moved
		}
		at := list[len(list)-1]
		owned[giver] = list[:len(list)-1]
		owned[taker] = append(owned[taker], at)
		own[at.topic][at.partition] = taker
		loads[giver]--
		loads[taker]++
		moved = true
		for _, changed := range [...]int32{giver, taker} {
			from.changed(changed)
			to.changed(changed)
		}
	}
	return moved
}
