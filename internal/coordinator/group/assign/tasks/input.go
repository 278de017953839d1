package tasks

import (
	"cmp"
	"slices"
)

// Assignment is what one member has, or is to have, in its three roles. No task is in two of them.
type Assignment struct {
	Active  Set // runs
	Standby Set // keeps a copy of the state of a task that is active elsewhere
	Warmup  Set // builds up the state of a task that will be active here
}

// Equal reports whether both are the same.
func (a Assignment) Equal(b Assignment) bool {
	return a.Active.Equal(b.Active) && a.Standby.Equal(b.Standby) && a.Warmup.Equal(b.Warmup)
}

// IsEmpty reports whether there is nothing in any role.
func (a Assignment) IsEmpty() bool { return len(a.Active)+len(a.Standby)+len(a.Warmup) == 0 }

// Len is the number of tasks in all roles.
func (a Assignment) Len() int { return a.Active.Len() + a.Standby.Len() + a.Warmup.Len() }

// Tag is one thing that a member says about where it runs, such as zone=b.
type Tag struct{ Key, Value string }

// Member is a member of the group as the assignor sees it. Ids differ.
type Member struct {
	ID      string
	Process string
	Tags    []Tag
	Had     Assignment // by the assignment before
}

func (m *Member) tag(key string) (string, bool) {
	for _, t := range m.Tags {
		if t.Key == key {
			return t.Value, true
		}
	}
	return "", false
}

// Source is a subtopology that has tasks. Ids differ.
type Source struct {
	ID       string
	Tasks    int32
	Stateful bool // it has changelogs: standbys and warm-ups make sense
}

// Options are the settings of a group that an assignment depends on.
type Options struct {
	Standbys int      // of each stateful task
	RackTags []string // keys of tags by whose values standbys should differ from the active task and from each other
}

// group is an assignment in the making.
type group struct {
	members   []*load // by id
	processes []*process
	sources   []Source // by id
	opts      Options
}

// load is what a member has got so far.
type load struct {
	*Member
	of      *process
	active  []Task
	standby []Task
}

func (l *load) len() int { return len(l.active) + len(l.standby) }

// process is members that share a directory of state.
type process struct {
	id      string
	index   int
	members []*load
	has     map[Task]bool // in any role, at any of its members
	tags    []string      // values of Options.RackTags; "" for one that it has not
	tasks   int
}

// newGroup sorts everything, so that the order in which things came cannot matter (GRP-5).
func newGroup(members []Member, sources []Source, opts Options) *group {
	g := &group{sources: slices.Clone(sources), opts: opts}
	slices.SortFunc(g.sources, func(a, b Source) int { return cmp.Compare(a.ID, b.ID) })
	byProcess := map[string]*process{}
	for i := range members {
		g.members = append(g.members, &load{Member: &members[i]})
	}
	slices.SortFunc(g.members, func(a, b *load) int { return cmp.Compare(a.ID, b.ID) })
	for _, m := range g.members {
		p := byProcess[m.Process]
		if p == nil {
			p = &process{id: m.Process, has: map[Task]bool{}, tags: make([]string, len(opts.RackTags))}
			byProcess[m.Process] = p
			g.processes = append(g.processes, p)
		}
		for i, key := range opts.RackTags {
			if v, ok := m.tag(key); ok && p.tags[i] == "" {
				p.tags[i] = v
			}
		}
		m.of = p
		p.members = append(p.members, m)
	}
	slices.SortFunc(g.processes, func(a, b *process) int { return cmp.Compare(a.id, b.id) })
	for i, p := range g.processes {
		p.index = i
	}
	return g
}

// lighter compares how many tasks two processes have for each of their members.
func (p *process) lighter(o *process) int {
	if c := cmp.Compare(p.tasks*len(o.members), o.tasks*len(p.members)); c != 0 {
		return c
	}
	return cmp.Compare(p.index, o.index)
}

// give gives a task to a member.
func (l *load) give(t Task, active bool) {
	if active {
		l.active = append(l.active, t)
	} else {
		l.standby = append(l.standby, t)
	}
	l.of.has[t] = true
	l.of.tasks++
}
