package tasks

// StickyName is how Assign is called in settings and descriptions.
const StickyName = "sticky"

// Assign gives every task to a member, and standbys of the stateful ones to members of other processes; what a member had it keeps where the
// loads allow. The assignments are in the order of members. Nobody gets anything when there are no members.
//
// It looks at each stateful task once for every process and standby; 10,000 such tasks in 100 processes take some tens of milliseconds.
func Assign(members []Member, sources []Source, opts Options) []Assignment {
	g := newGroup(members, sources, opts)
	if len(members) == 0 {
		return nil
	}
	owners := g.assignActive()
	if opts.Standbys > 0 {
		g.assignStandbys(owners)
	}
	at := make(map[string]int, len(members))
	for i := range members {
		at[members[i].ID] = i
	}
	out := make([]Assignment, len(members))
	for _, m := range g.members {
		out[at[m.ID]] = Assignment{Active: share(ofTasks(m.active), m.Had.Active), Standby: share(ofTasks(m.standby), m.Had.Standby)}
	}
	return out
}

// share is set, in the memory of old if they are the same.
func share(set, old Set) Set {
	if set.Equal(old) {
		return old
	}
	return set
}
