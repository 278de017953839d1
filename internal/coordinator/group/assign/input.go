package assign

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Member is one member of a group, as an assignor sees it.
type Member struct {
	ID       string
	Instance string       // of a static member; "": it is none
	Topics   []kafka.UUID // that it subscribes to and that exist, in any order, without repeats
	Had      Partitions   // what it was assigned last; it may name topics and partitions that are gone or no longer subscribed to
}

// Counts is the number of partitions of each topic. Topics that it does not have are not assigned.
type Counts map[kafka.UUID]int32

// Names of the assignors, as clients and settings write them.
const (
	UniformName = "uniform"
	RangeName   = "range"
	SimpleName  = "simple"
)

// ByName returns the assignor of consumer groups that has the name; ok is false when there is none.
func ByName(name string) (_ func([]Member, Counts) []Partitions, ok bool) {
	switch name {
	case UniformName:
		return Uniform, true
	case RangeName:
		return Range, true
	}
	return nil, false
}

// problem is an input made regular: members in one order whatever order they came in (GRP-5), topics that exist in the order of their ids.
type problem struct {
	members []int        // indexes into the input, in the order of the assignor
	topics  []kafka.UUID // rising
	counts  []int32      // of topics
	subs    [][]int32    // of members, in their order: indexes into topics, rising; members that subscribe to the same share one slice
	same    bool         // all subscribe to the same topics
	total   int          // partitions of all topics
}

func byMemberID(a, b *Member) int { return cmp.Compare(a.ID, b.ID) }

// byInstance is static members first, by their instance ids, then the others: a static member that restarts has a new member id, and keeps its
// place.
func byInstance(a, b *Member) int {
	if (a.Instance == "") != (b.Instance == "") {
		if a.Instance != "" {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.ID, b.ID))
}

func newProblem(members []Member, topics Counts, order func(a, b *Member) int) *problem {
	p := &problem{members: make([]int, len(members)), subs: make([][]int32, len(members)), same: true}
	for i := range members {
		p.members[i] = i
	}
	slices.SortFunc(p.members, func(a, b int) int { return order(&members[a], &members[b]) })
	index := map[kafka.UUID]int32{}
	for i := range members {
		if i > 0 && slices.Equal(members[i].Topics, members[i-1].Topics) {
			continue
		}
		for _, t := range members[i].Topics {
			if topics[t] > 0 {
				index[t] = 0
			}
		}
	}
	for t := range index {
		p.topics = append(p.topics, t)
	}
	slices.SortFunc(p.topics, func(a, b kafka.UUID) int { return bytes.Compare(a[:], b[:]) })
	for i, t := range p.topics {
		index[t] = int32(i)
		p.counts = append(p.counts, topics[t])
		p.total += int(topics[t])
	}
	shared := interned{}
	for at, i := range p.members {
		if at > 0 && slices.Equal(members[i].Topics, members[p.members[at-1]].Topics) {
			p.subs[at] = p.subs[at-1]
			continue
		}
		var subs []int32
		for _, t := range members[i].Topics {
			if n, ok := index[t]; ok {
				subs = append(subs, n)
			}
		}
		slices.Sort(subs)
		p.subs[at] = shared.intern(slices.Compact(subs))
		p.same = len(shared) == 1
	}
	return p
}

// interned is one slice for all that are equal.
type interned map[string][]int32

func (all interned) intern(list []int32) []int32 {
	key := make([]byte, 0, 4*len(list))
	for _, n := range list {
		key = binary.LittleEndian.AppendUint32(key, uint32(n))
	}
	if had, ok := all[string(key)]; ok {
		return had
	}
	all[string(key)] = list
	return list
}

// noOwner marks a partition that nobody has.
const noOwner int32 = -1

// ownership is who owns each partition: [topic][partition] is a place in problem.members, or noOwner.
type ownership [][]int32

func (p *problem) unowned() ownership {
	flat := make([]int32, p.total)
	for i := range flat {
		flat[i] = noOwner
	}
	own := make(ownership, len(p.topics))
	for t, n := range p.counts {
		own[t], flat = flat[:n:n], flat[n:]
	}
	return own
}

// kept visits the partitions that the member at a place had and may have again: they exist and it subscribes to their topic. Partitions come in
// their order.
func (p *problem) kept(at int, m *Member, visit func(topic, partition int32)) {
	for _, t := range m.Had {
		i, ok := slices.BinarySearchFunc(p.topics, t.ID, func(a, b kafka.UUID) int { return bytes.Compare(a[:], b[:]) })
		if !ok {
			continue
		}
		if _, subscribed := slices.BinarySearch(p.subs[at], int32(i)); !subscribed {
			continue
		}
		for _, part := range t.Partitions {
			if part >= 0 && part < p.counts[i] {
				visit(int32(i), part)
			}
		}
	}
}

// assignments turns ownership into what each member of the input has. A member whose partitions are those it had keeps that very set.
func (p *problem) assignments(members []Member, own ownership, loads []int32) []Partitions {
	type pair struct{ topic, partition int32 }
	flat := make([]pair, p.total)
	lists := make([][]pair, len(p.members))
	for at, n := range loads {
		lists[at], flat = flat[:0:n], flat[n:]
	}
	for t := range own {
		for part, at := range own[t] {
			if at != noOwner {
				lists[at] = append(lists[at], pair{int32(t), int32(part)})
			}
		}
	}
	out := make([]Partitions, len(members))
	for at, list := range lists {
		if len(list) == 0 {
			continue
		}
		numbers, topics := make([]int32, len(list)), 1
		for i := range list {
			numbers[i] = list[i].partition
			if i > 0 && list[i].topic != list[i-1].topic {
				topics++
			}
		}
		set := make(Partitions, 0, topics)
		for from, i := 0, 1; i <= len(list); i++ {
			if i == len(list) || list[i].topic != list[from].topic {
				set = append(set, Topic{ID: p.topics[list[from].topic], Partitions: numbers[from:i:i]})
				from = i
			}
		}
		m := &members[p.members[at]]
		if set.Equal(m.Had) {
			set = m.Had
		}
		out[p.members[at]] = set
	}
	return out
}
