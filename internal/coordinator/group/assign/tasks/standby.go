package tasks

// assignStandbys gives standbys of every stateful task to processes that do not run it. Those who had a copy of the state before keep it as
// long as they have no more than their share of all tasks; the rest goes where the fewest are. Where tags matter they come first.
func (g *group) assignStandbys(owners map[Task]*load) {
	replicas := min(g.opts.Standbys, len(g.processes)-1)
	if replicas <= 0 {
		return
	}
	total := len(owners)
	for _, s := range g.sources {
		if s.Stateful {
			total += int(s.Tasks) * replicas
		}
	}
	share := (total + len(g.members) - 1) / len(g.members)
	had := g.hadCopies()
	type open struct {
		task Task
		tags [][]string // of the processes that have it
		left int
	}
	var rest []open
	for _, s := range g.sources {
		if !s.Stateful {
			continue
		}
		for i := range s.Tasks {
			o := open{task: Task{s.ID, i}, left: replicas}
			o.tags = append(o.tags, owners[o.task].of.tags)
			for _, m := range had[o.task] {
				if o.left > 0 && !m.of.has[o.task] && m.len() < share && g.distance(m.of, o.tags) == g.farthest(o.task, o.tags) {
					m.give(o.task, false)
					o.tags = append(o.tags, m.of.tags)
					o.left--
				}
			}
			if o.left > 0 {
				rest = append(rest, o)
			}
		}
	}
	for _, o := range rest {
		for range o.left {
			p := g.place(o.task, o.tags)
			p.lightestMember().give(o.task, false)
			o.tags = append(o.tags, p.tags)
		}
	}
}

// hadCopies is the members that had a task as a standby or a warm-up, then those who ran it: the order in which they keep a copy.
func (g *group) hadCopies() map[Task][]*load {
	had := map[Task][]*load{}
	for _, role := range [...]func(*load) Set{
		func(m *load) Set { return m.Had.Standby }, func(m *load) Set { return m.Had.Warmup }, func(m *load) Set { return m.Had.Active },
	} {
		for _, m := range g.members {
			for t := range role(m).All() {
				had[t] = append(had[t], m)
			}
		}
	}
	return had
}

// place is where a standby goes: the farthest by tags from those who have the task, and of those the process with the fewest tasks.
func (g *group) place(t Task, tags [][]string) (best *process) {
	far := 0
	for _, p := range g.processes {
		if p.has[t] {
			continue
		}
		d := g.distance(p, tags)
		if best == nil || d > far || d == far && p.lighter(best) < 0 {
			best, far = p, d
		}
	}
	return best
}

// farthest is the most that a process which could take the task differs from those who have it.
func (g *group) farthest(t Task, tags [][]string) (far int) {
	if len(g.opts.RackTags) == 0 {
		return 0
	}
	for _, p := range g.processes {
		if !p.has[t] {
			far = max(far, g.distance(p, tags))
		}
	}
	return far
}

// distance is how many of the tags of a process nobody of those has. A process that lacks a tag is no farther for it.
func (g *group) distance(p *process, others [][]string) (n int) {
tags:
	for i, v := range p.tags {
		if v == "" {
			continue
		}
		for _, o := range others {
			if o[i] == v {
				continue tags
			}
		}
		n++
	}
	return n
}

// lightestMember is the member of the process with the fewest tasks.
func (p *process) lightestMember() (best *load) {
	for _, m := range p.members {
		if best == nil || m.len() < best.len() {
			best = m
		}
	}
	return best
}
