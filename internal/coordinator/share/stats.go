package share

import "time"

// Stats are counts of a Partition, for metrics and explanations.
type Stats struct {
	InFlight  int // delivered, neither acknowledged nor archived (counts against MaxLocks)
	Acquired  int // held by members
	Archiving int // on their way to the dead-letter topic
	Ready     int // could be acquired now
	Waiting   int // available, but resting, not due, or behind their key
	Done      int // acknowledged or archived, from the start offset on (delivery-complete count)
	Window    int // offsets between start and end
	Fragments int // stretches that a restart remembers, about (counts against MaxFragments)
	Members   int // that hold something
}

// Stats counts. It costs a look at every chunk of 512 offsets and at every lock.
func (p *Partition) Stats(now time.Time) Stats {
	t := p.at(now)
	s := Stats{InFlight: p.inFlight, Acquired: p.acquired, Archiving: p.archiving, Done: p.done + p.doneAhead, Window: int(p.end - p.start)}
	open := 0
	for _, c := range p.chunks {
		p.refresh(c, t)
		s.Ready += c.fresh + c.again
		open += int(c.open)
	}
	s.Fragments = p.fragments
	s.Waiting = open - p.acquired - p.archiving - s.Ready
	members := map[string]struct{}{}
	for i := range p.locks {
		if p.locks[i].held > 0 {
			members[p.locks[i].member] = struct{}{}
		}
	}
	s.Members = len(members)
	return s
}

// Held is how many records a member holds, those included whose acknowledgement is under way.
func (p *Partition) Held(member string) (n int) {
	for i := range p.locks {
		if p.locks[i].held > 0 && p.locks[i].member == member {
			n += p.locks[i].held
		}
	}
	return n
}

// Each calls fn for the stretches of equal state between start and end, for views of a queue, until fn returns false. Acquired stretches say by whom.
func (p *Partition) Each(fn func(b StateBatch, member string) bool) {
	var b StateBatch
	member, isOpen := "", false
	for w := p.walk(p.start, p.end-1); ; {
		r, ok := w.next()
		if !ok {
			break
		}
		if m := p.holder(r.s.lock); !isOpen || b.State != r.s.state || b.Count != r.s.count || m != member {
			if isOpen && !fn(b, member) {
				return
			}
			b, member, isOpen = StateBatch{r.first(), r.last(), r.s.state, r.s.count}, m, true
			continue
		}
		b.Last = r.last()
	}
	if isOpen {
		fn(b, member)
	}
}
