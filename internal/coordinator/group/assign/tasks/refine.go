package tasks

import "slices"

// Progress is a member as Refine sees it: what is to become of it, what it has, and how far its copies are.
type Progress struct {
	ID      string
	Process string
	Target  Assignment
	Runs    Set // tasks that are active here at this moment, and need not be given up yet
	// Reports is whether the member tells how far its copies are: without that nobody could know when to end a warm-up.
	Reports bool
	// CaughtUp reports whether the member's copy of a task lags no more than is acceptable.
	CaughtUp func(Task) bool
}

// Refine is the way to the target that does not stop a stateful task while its state is rebuilt: a task whose new owner's process has no copy
// that has caught up stays with the old owner, as long as that lives, while the new one warms up. At most warmups tasks of the group warm up at
// once; those that have to wait for their turn stay where they are. stateful says which subtopologies have state.
//
// With warmups 0 tasks move at once, and so do those that go to members which do not tell how far they are. The assignments are in the order of
// members; those in which nothing is different are the targets themselves.
func Refine(members []Progress, stateful func(subtopology string) bool, warmups int) []Assignment {
	out := make([]Assignment, len(members))
	for i := range members {
		out[i] = members[i].Target
	}
	if warmups <= 0 {
		return out
	}
	order := make([]int, len(members))
	runs := map[Task]int{}
	for i := range members {
		order[i] = i
		for t := range members[i].Runs.All() {
			runs[t] = i
		}
	}
	slices.SortFunc(order, func(a, b int) int { // GRP-5
		if members[a].ID < members[b].ID {
			return -1
		}
		return 1
	})
	hasCopy := func(process string, t Task) bool {
		return slices.ContainsFunc(members, func(m Progress) bool { return m.Process == process && m.CaughtUp != nil && m.CaughtUp(t) })
	}
	for _, i := range order {
		m := &members[i]
		if !m.Reports {
			continue
		}
		var stay, warm []Task
		for t := range m.Target.Active.All() {
			old, running := runs[t]
			if !running || !stateful(t.Subtopology) || members[old].Process == m.Process || hasCopy(m.Process, t) {
				continue
			}
			stay = append(stay, t)
			if warmups > 0 {
				warmups--
				warm = append(warm, t)
			}
			keep := ofTasks([]Task{t})
			out[old].Active = out[old].Active.Or(keep)
			// The old owner, or another member of its process, may be meant to have a standby of it afterwards.
			for j := range members {
				if members[j].Process == members[old].Process {
					out[j].Standby = out[j].Standby.Minus(keep)
				}
			}
		}
		out[i].Active = out[i].Active.Minus(ofTasks(stay))
		out[i].Warmup = out[i].Warmup.Or(ofTasks(warm))
	}
	return out
}
