package share

import (
	"slices"
	"sort"

	"github.com/rafka-io/rafka/internal/kafka"
)

// span is a stretch of offsets. last is included.
type span struct{ first, last kafka.Offset }

// addSpan appends a stretch, or lengthens the last one.
func addSpan(spans []span, first, last kafka.Offset) []span {
	if n := len(spans); n > 0 && spans[n-1].last+1 == first {
		spans[n-1].last = last
		return spans
	}
	return append(spans, span{first, last})
}

// run is a stretch of one chunk, [i,j), whose slots are all s.
type run struct {
	c    *chunk
	i, j int64
	s    slot
}

func (r run) first() kafka.Offset { return r.c.first + kafka.Offset(r.i) }
func (r run) last() kafka.Offset  { return r.c.first + kafka.Offset(r.j) - 1 }
func (r run) len() int            { return int(r.j - r.i) }

// part is the piece [i,j) of the run.
func (r run) part(i, j int64) run { r.i, r.j = i, j; return r }

// walker goes over the runs of a stretch. The run it returned may be changed before the next is asked for.
type walker struct {
	p        *Partition
	ci       int
	at, last kafka.Offset
}

// walk goes over what the window has of a stretch.
func (p *Partition) walk(first, last kafka.Offset) walker {
	first, last = max(first, p.start), min(last, p.end-1)
	return walker{p: p, ci: p.chunkOf(first), at: first, last: last}
}

func (w *walker) next() (run, bool) {
	if w.at > w.last || w.ci >= len(w.p.chunks) {
		return run{}, false
	}
	c := w.p.chunks[w.ci]
	i := int64(w.at - c.first)
	j := c.runEnd(i, min(c.n, int64(w.last-c.first)+1))
	w.at = c.first + kafka.Offset(j)
	if j == c.n {
		w.ci++
	}
	return run{c, i, j, c.at(i)}, true
}

// chunkOf is the index of the chunk with that offset, or of the first one behind it.
func (p *Partition) chunkOf(o kafka.Offset) int {
	return sort.Search(len(p.chunks), func(i int) bool { return p.chunks[i].end() > o })
}

// tally keeps the sums over the window.
func (p *Partition) tally(s slot, n int) {
	switch {
	case s.state.isDone():
		p.done += n
	case s.state == Acquired:
		p.acquired += n
		p.inFlight += n
	case s.state == Archiving:
		p.archiving += n
		p.inFlight += n
	case s.count > 0:
		p.inFlight += n
	}
	if s.pending != 0 && s.after().isDone() {
		p.pendingDone += n
	}
}

// set changes the records of a run.
func (p *Partition) set(r run, s slot) {
	p.tally(r.s, -r.len())
	p.tally(s, r.len())
	c := r.c
	c.isStale = true
	if c.slots == nil && r.i == 0 && r.j == c.n {
		c.uniform = s
	} else {
		p.spread(c)
		for i := r.i; i < r.j; i++ {
			c.slots[i] = s
		}
	}
	if c.keys != nil && s.state.isDone() && !r.s.state.isDone() {
		for i := r.i; i < r.j; i++ {
			p.passKey(c.keys[i], c.next[i])
		}
	}
}

// spread gives a uniform chunk a slot per record.
func (p *Partition) spread(c *chunk) {
	if c.slots != nil {
		return
	}
	if n := len(p.spare); n > 0 {
		c.slots, p.spare = p.spare[n-1][:c.n], p.spare[:n-1]
	} else {
		c.slots = make([]slot, c.n, chunkSize)
	}
	for i := range c.slots {
		c.slots[i] = c.uniform
	}
}

// recycle keeps the slots of a chunk that needs them no more.
func (p *Partition) recycle(c *chunk) {
	if c.slots != nil && len(p.spare) < 4 {
		p.spare = append(p.spare, c.slots[:0])
	}
	c.slots = nil
}

// refresh brings a chunk's counts up to date, and the sums over all chunks with it.
func (p *Partition) refresh(c *chunk, t instant) {
	if !c.isStale && c.wakeWall > t.wall && c.wakeMono > t.mono {
		return
	}
	p.uncount(c)
	c.recount(t)
	if c.open == 0 && c.slots != nil && c.runEnd(0, c.n) == c.n {
		c.uniform = c.slots[0]
		p.recycle(c)
	}
	p.fragments += c.fragments
	if !c.isMeek() {
		c.counted = int(c.n)
	}
	p.tracked += c.counted
}

// isFull reports whether the window has reached MaxFragments or MaxWindow. Only an exact count may say so: acknowledgements leave their chunks
// stale, and a fetch that was told of nothing by a stale count would wait for an event that need not come.
func (p *Partition) isFull(t instant) bool {
	isFull := func() bool {
		return p.fragments >= p.settings.MaxFragments || p.tracked >= p.settings.MaxWindow
	}
	if !isFull() {
		return false
	}
	for _, c := range p.chunks {
		p.refresh(c, t)
	}
	return isFull()
}

// uncount takes a chunk out of the sums.
func (p *Partition) uncount(c *chunk) {
	p.fragments -= c.fragments
	p.tracked -= c.counted
	c.fragments, c.counted = 0, 0
}

// settle raises the start over what is done (SHR-4) and lets go of the chunks below.
func (p *Partition) settle() {
	drop := 0
	for p.start < p.end {
		c := p.chunks[drop]
		i := int64(p.start - c.first)
		for i < c.n && c.at(i).state.isDone() {
			i = c.runEnd(i, c.n)
		}
		p.done -= int(c.first + kafka.Offset(i) - p.start)
		p.start = c.first + kafka.Offset(i)
		if i < c.n {
			break
		}
		p.uncount(c)
		p.recycle(c)
		drop++
	}
	if drop > 0 {
		p.chunks = slices.Delete(p.chunks, 0, drop)
		p.hasWoken = true
	}
}

// merge joins neighbours that are one stretch of done records.
func (p *Partition) merge() {
	kept := p.chunks[:0]
	for _, c := range p.chunks {
		if n := len(kept); n > 0 && kept[n-1].isMeek() && c.isMeek() && kept[n-1].uniform == c.uniform {
			p.uncount(c)
			kept[n-1].n += c.n
			continue
		}
		kept = append(kept, c)
	}
	clear(p.chunks[len(kept):])
	p.chunks = kept
}
