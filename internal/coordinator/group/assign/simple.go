package assign

// Simple is for share groups, whose members share partitions: every partition that somebody subscribes to has at least one member, every member
// that subscribes to something has at least one partition, and no more is shared than that takes. Where all subscribe to the same, members
// differ by at most one partition and partitions by at most one member. What members had stays as far as that goes.
func Simple(members []Member, topics Counts) []Partitions {
	p := newProblem(members, topics, byMemberID)
	if len(p.members) == 0 || p.total == 0 {
		return make([]Partitions, len(members))
	}
	s := &sharing{problem: p, has: make([][]place, len(p.members)), shared: make([][]int32, len(p.topics))}
	for t, n := range p.counts {
		s.shared[t] = make([]int32, n)
	}
	if p.same && p.total < len(p.members) {
		s.keepShared(members)
	} else {
		// Enough partitions for all, or not the same for all: each partition gets one member as for a consumer group, and who is left
		// without shares one.
		s.start(members, Uniform(members, topics))
	}
	s.serveIdle()
	return s.assignments(members)
}

// sharing is partitions with several members under way.
type sharing struct {
	*problem
	has    [][]place // of members
	shared [][]int32 // by topic and partition: how many members it has
}

func (s *sharing) give(at int, to place) {
	s.has[at] = append(s.has[at], to)
	s.shared[to.topic][to.partition]++
}

// start takes an assignment in which every partition has one member, and then lets those without any keep one that they had.
func (s *sharing) start(members []Member, assigned []Partitions) {
	for at, i := range s.members {
		m := Member{Had: assigned[i]}
		s.kept(at, &m, func(t, part int32) { s.give(at, place{t, part}) })
	}
	for at, i := range s.members {
		if len(s.has[at]) == 0 {
			s.keepOne(at, &members[i], int32(len(s.members)))
		}
	}
}

// keepShared is for more members than partitions: each keeps one partition that it had, as long as that one is not shared by more than its
// part, and then partitions without a member get one.
func (s *sharing) keepShared(members []Member) {
	n, total := int32(len(s.members)), int32(s.total)
	least, extras := n/total, n%total
	for at, i := range s.members {
		done := false
		s.kept(at, &members[i], func(t, part int32) {
			switch have := s.shared[t][part]; {
			case done:
			case have < least:
				s.give(at, place{t, part})
				done = true
			case have == least && extras > 0:
				s.give(at, place{t, part})
				extras--
				done = true
			}
		})
	}
}

// keepOne lets a member keep a partition that it had and that fewer than limit share.
func (s *sharing) keepOne(at int, m *Member, limit int32) {
	done := false
	s.kept(at, m, func(t, part int32) {
		if !done && s.shared[t][part] < limit {
			s.give(at, place{t, part})
			done = true
		}
	})
}

// serveIdle gives each member without a partition that which the fewest share, of those it subscribes to.
func (s *sharing) serveIdle() {
	queues := map[*int32]*shareHeap{} // by subscription
	for at := range s.members {
		if len(s.has[at]) > 0 || len(s.subs[at]) == 0 {
			continue
		}
		queue := queues[&s.subs[at][0]]
		if queue == nil {
			queue = s.newShareHeap(s.subs[at])
			queues[&s.subs[at][0]] = queue
		}
		s.give(at, queue.least(s.shared))
	}
}

func (s *sharing) assignments(members []Member) []Partitions {
	out := make([]Partitions, len(members))
	for at, list := range s.has {
		topics := make([]Topic, len(list))
		for i, p := range list {
			topics[i] = Topic{ID: s.topics[p.topic], Partitions: []int32{p.partition}}
		}
		i := s.members[at]
		if out[i] = Of(topics); out[i].Equal(members[i].Had) {
			out[i] = members[i].Had
		}
	}
	return out
}
