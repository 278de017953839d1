package tasks

import (
	"cmp"
	"container/heap"
	"slices"
)

// assignActive gives every task to one member: to the one who had it, else to one whose process has its state, else to the one with the fewest.
// Nobody gets more than one task more than another.
func (g *group) assignActive() (owners map[Task]*load) {
	total := 0
	for _, s := range g.sources {
		total += int(s.Tasks)
	}
	owners = make(map[Task]*load, total)
	q := quota{floor: total / len(g.members), extra: total % len(g.members)}
	// Two rounds, so that the tasks above the floor stay with those who had most, whoever they are.
	wants := func(m *load) []Task {
		var list []Task
		for t := range m.Had.Active.All() {
			if g.exists(t) && owners[t] == nil {
				list = append(list, t)
			}
		}
		slices.SortFunc(list, byPartition)
		return list
	}
	for _, m := range g.members {
		for _, t := range wants(m) {
			if len(m.active) == q.floor {
				break
			}
			owners[t] = m
			m.give(t, true)
		}
	}
	for _, m := range g.members {
		if rest := wants(m); len(rest) > 0 && q.mayTake(m) {
			q.take(m)
			owners[rest[0]] = m
			m.give(rest[0], true)
		}
	}
	copies := g.copies()
	var rest []Task
	for _, s := range g.sources {
		for p := range s.Tasks {
			t := Task{s.ID, p}
			if owners[t] != nil {
				continue
			}
			if m := q.lightest(copies[t]); m != nil {
				q.take(m)
				owners[t] = m
				m.give(t, true)
				continue
			}
			rest = append(rest, t)
		}
	}
	h := newLightest(g, &q)
	for _, t := range rest {
		m := h.next()
		q.take(m)
		owners[t] = m
		m.give(t, true)
		h.fix()
	}
	return owners
}

// byPartition sorts so that who may keep only some of its tasks keeps some of every subtopology: they may differ much in what they cost.
func byPartition(a, b Task) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Subtopology, b.Subtopology))
}

// exists reports whether there still is such a task.
func (g *group) exists(t Task) bool {
	i, ok := slices.BinarySearchFunc(g.sources, t.Subtopology, func(s Source, id string) int { return cmp.Compare(s.ID, id) })
	return ok && t.Partition >= 0 && t.Partition < g.sources[i].Tasks
}

// copies is who can reach state of a task: members of the processes that had it in any role.
func (g *group) copies() map[Task][]*load {
	copies := map[Task][]*load{}
	for _, p := range g.processes {
		seen := map[Task]bool{}
		for _, m := range p.members {
			for _, set := range [...]Set{m.Had.Active, m.Had.Standby, m.Had.Warmup} {
				for t := range set.All() {
					if !seen[t] {
						seen[t] = true
						copies[t] = append(copies[t], p.members...)
					}
				}
			}
		}
	}
	return copies
}

// quota is how many active tasks a member may have: floor, and extra members one more.
type quota struct{ floor, extra int }

func (q *quota) mayTake(m *load) bool {
	return len(m.active) < q.floor || len(m.active) == q.floor && q.extra > 0
}

// take counts a task that m is about to get.
func (q *quota) take(m *load) {
	if len(m.active) == q.floor {
		q.extra--
	}
}

// lightest is the member of the list that may take a task and has the fewest; nil if none may.
func (q *quota) lightest(list []*load) (best *load) {
	for _, m := range list {
		if q.mayTake(m) && (best == nil || len(m.active) < len(best.active)) {
			best = m
		}
	}
	return best
}

// lightest is the members that may take a task, the one with the fewest first; of several that of the process with the fewest.
type lightest struct {
	members []*load
	quota   *quota
}

func newLightest(g *group, q *quota) *lightest {
	h := &lightest{quota: q}
	for _, m := range g.members {
		if len(m.active) <= q.floor {
			h.members = append(h.members, m)
		}
	}
	heap.Init(h)
	return h
}

// next is never asked for more than the quotas sum up to.
func (h *lightest) next() *load { return h.members[0] }

// fix brings the first to its place after it got a task.
func (h *lightest) fix() {
	if len(h.members[0].active) > h.quota.floor {
		heap.Pop(h)
		return
	}
	heap.Fix(h, 0)
}

func (h *lightest) Len() int { return len(h.members) }

// Less compares members first: their quotas make processes even too.
func (h *lightest) Less(i, j int) bool {
	a, b := h.members[i], h.members[j]
	if len(a.active) != len(b.active) {
		return len(a.active) < len(b.active)
	}
	if a.of != b.of && a.of.tasks*len(b.of.members) != b.of.tasks*len(a.of.members) {
		return a.of.tasks*len(b.of.members) < b.of.tasks*len(a.of.members)
	}
	return a.ID < b.ID
}

func (h *lightest) Swap(i, j int) { h.members[i], h.members[j] = h.members[j], h.members[i] }
func (h *lightest) Push(x any)    { h.members = append(h.members, x.(*load)) }

func (h *lightest) Pop() any {
	last := h.members[len(h.members)-1]
	h.members = h.members[:len(h.members)-1]
	return last
}
