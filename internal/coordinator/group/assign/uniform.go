package assign

// Uniform spreads partitions evenly and moves as few as it can.
//
// Where all members subscribe to the same topics, their loads differ by at most one, and no assignment with that property leaves more
// partitions where they were. Where subscriptions differ, no single partition could go to another member that may have it and make the two
// loads more even; members keep what they have as long as that holds.
func Uniform(members []Member, topics Counts) []Partitions {
	p := newProblem(members, topics, byMemberID)
	if len(p.members) == 0 || p.total == 0 {
		return make([]Partitions, len(members))
	}
	own, loads := p.unowned(), make([]int32, len(p.members))
	if p.same {
		p.uniform(members, own, loads)
	} else {
		p.uniformMixed(members, own, loads)
	}
	return p.assignments(members, own, loads)
}

// uniform fills own and loads where all subscribe to the same.
func (p *problem) uniform(members []Member, own ownership, loads []int32) {
	n := int32(len(p.members))
	least, extras := int32(p.total)/n, int32(p.total)%n

	// Those that have more than the least may keep one of the extra partitions, as long as there are some: which of them makes no difference
	// to the number of partitions moved.
	quota := make([]int32, n)
	for at, i := range p.members {
		had := int32(0)
		p.kept(at, &members[i], func(t, part int32) {
			// Two members had it only if a conversion from the classic protocol was told so; the first has it then.
			if own[t][part] == noOwner {
				own[t][part] = int32(at)
				had++
			}
		})
		quota[at] = least
		if had > least && extras > 0 {
			quota[at]++
			extras--
		}
	}
	for at := int32(0); at < n && extras > 0; at++ {
		if quota[at] == least {
			quota[at]++
			extras--
		}
	}
	// A member gives up what it has above its quota. It has been counted in the order of partitions, so the last ones go.
	for t := range own {
		for part, at := range own[t] {
			switch {
			case at == noOwner:
			case loads[at] < quota[at]:
				loads[at]++
			default:
				own[t][part] = noOwner
			}
		}
	}
	// What is free goes round among those with room, so that the partitions of one topic meet many members.
	next := int32(0)
	for t := range own {
		for part, at := range own[t] {
			if at != noOwner {
				continue
			}
			for loads[next] >= quota[next] {
				next = (next + 1) % n
			}
			own[t][part] = next
			loads[next]++
			next = (next + 1) % n
		}
	}
}
