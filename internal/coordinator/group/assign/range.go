package assign

// Range gives the subscribers of each topic, static members first, consecutive partitions of it, the first ones one more where it does not
// divide evenly. So topics with as many partitions, subscribed to by all, are assigned alike: partition 3 of each goes to one member, which
// can join them. It does not look at what members had.
func Range(members []Member, topics Counts) []Partitions {
	p := newProblem(members, topics, byInstance)
	own, loads := p.unowned(), make([]int32, len(p.members))
	subscribers := make([][]int32, len(p.topics))
	for at, subs := range p.subs {
		for _, t := range subs {
			subscribers[t] = append(subscribers[t], int32(at))
		}
	}
	for t, list := range subscribers {
		n := int32(len(list))
		least, extras := p.counts[t]/n, p.counts[t]%n
		next := int32(0)
		for i, at := range list {
			share := least
			if int32(i) < extras {
				share++
			}
			for range share {
				own[t][next] = at
				next++
			}
			loads[at] += share
		}
	}
	return p.assignments(members, own, loads)
}
