package share

import "github.com/rafka-io/rafka/internal/kafka"

// learn takes in what the host has read beyond the end of the window. Offsets between two batches are gone (compacted away); so are those before
// the first batch, if a host was told to read from the end on. A batch further away is not believed: the log was not read in between.
func (p *Partition) learn(read []Batch, t instant) {
	for i := range read {
		b := &read[i]
		if b.Last < p.end {
			continue
		}
		if b.First > p.end {
			if i == 0 && p.offered != p.end {
				return
			}
			p.learnGone(b.First - 1)
		}
		switch {
		case b.IsGone:
			p.learnGone(b.Last)
		case b.Records == nil:
			p.learnPlain(b.Last)
		default:
			p.learnRecords(b, t)
		}
		p.absorb()
	}
}

// learnGone moves the end behind last: nothing for consumers there, except that what was done before the restart stays as it was.
func (p *Partition) learnGone(last kafka.Offset) {
	for p.end <= last {
		old, upto := p.remembered(last)
		if !old.state.isDone() {
			old = slot{state: Archived}
		}
		p.push(int64(upto-p.end)+1, old)
	}
}

func (p *Partition) learnPlain(last kafka.Offset) {
	for p.end <= last {
		s, upto := p.remembered(last)
		if s.state == Archiving {
			p.resume(s.count, upto)
		}
		p.push(int64(upto-p.end)+1, s)
	}
}

func (p *Partition) learnRecords(b *Batch, t instant) {
	for i := range b.Records {
		r := &b.Records[i]
		if r.Offset < p.end {
			continue
		}
		if r.Offset > b.Last {
			break
		}
		p.learnGone(r.Offset - 1)
		if r.IsGone {
			p.learnGone(r.Offset)
			continue
		}
		s, _ := p.remembered(r.Offset)
		if s.state == Archiving {
			p.resume(s.count, r.Offset)
		}
		isKeyed := p.settings.KeyOrdering && r.Key != 0 && !s.state.isDone()
		if isKeyed {
			s.isBlocked = p.queueKey(r.Key, r.Offset)
		}
		p.push(1, s)
		c := p.chunks[len(p.chunks)-1]
		if isKeyed {
			c.needKeys()
			c.keys[c.n-1] = r.Key
		}
		if s.state == Available && s.count == 0 && int64(r.NotBefore) > t.wall {
			c.needDue()
			c.due[c.n-1] = int64(r.NotBefore)
		}
	}
	p.learnGone(b.Last)
}

// remembered is what was read of the record at the end of the window when the Partition was made, and up to where (at most last) that goes.
func (p *Partition) remembered(last kafka.Offset) (slot, kafka.Offset) {
	for len(p.restored) > 0 && p.restored[0].Last < p.end {
		p.restored = p.restored[1:]
	}
	if len(p.restored) == 0 {
		return slot{}, last
	}
	r := p.restored[0]
	if r.First > p.end {
		return slot{}, min(last, r.First-1)
	}
	s := slot{state: r.State, count: r.Count}
	if s.state == Archiving {
		s.reason, s.isTold = Resumed, true
	}
	return s, min(last, r.Last)
}

// resume hands records that were on their way to the dead-letter topic out again.
func (p *Partition) resume(count int16, last kafka.Offset) {
	p.dead = append(p.dead, DeadLetter{p.end, last, count, Resumed})
}

// absorb moves the end over what was done before the restart: there is nothing to be read.
func (p *Partition) absorb() {
	for {
		if len(p.restored) == 0 {
			return
		}
		r := p.restored[0]
		switch {
		case r.Last < p.end:
			p.restored = p.restored[1:]
		case r.First <= p.end && r.State.isDone():
			p.doneAhead -= int(r.Last-p.end) + 1
			p.pushDone(int64(r.Last-p.end)+1, slot{state: r.State, count: r.Count})
		default:
			return
		}
	}
}

// push appends n records to the window.
func (p *Partition) push(n int64, s slot) {
	if s.state.isDone() {
		if len(p.restored) > 0 && p.restored[0].First <= p.end && p.restored[0].State.isDone() {
			p.doneAhead -= int(n)
		}
		p.pushDone(n, s)
		return
	}
	isBatch := n >= ownChunk
	for p.tally(s, int(n)); n > 0; {
		c := p.tail()
		if c == nil || c.n >= chunkSize || isBatch || c.slots == nil && c.uniform != s && c.n >= ownChunk {
			c = &chunk{first: p.end}
			p.chunks = append(p.chunks, c)
		}
		m := min(n, chunkSize-c.n)
		p.grow(c, m, s)
		n -= m
	}
}

// pushDone appends n records that are done. They make no chunk longer that could not take the next record batch as a whole.
func (p *Partition) pushDone(n int64, s slot) {
	p.tally(s, int(n))
	c := p.tail()
	if c == nil || n > chunkSize-c.n || c.n >= ownChunk {
		if c == nil || !c.isMeek() || c.uniform != s {
			c = &chunk{first: p.end}
			p.chunks = append(p.chunks, c)
		}
	}
	p.grow(c, n, s)
}

func (p *Partition) tail() *chunk {
	if n := len(p.chunks); n > 0 {
		return p.chunks[n-1]
	}
	return nil
}

// grow lengthens the last chunk.
func (p *Partition) grow(c *chunk, n int64, s slot) {
	if c.n == 0 {
		c.uniform = s
	}
	if c.slots != nil || c.uniform != s {
		p.spread(c)
		for range n {
			c.slots = append(c.slots, s)
		}
	}
	c.n += n
	if c.keys != nil {
		c.keys = append(c.keys, make([]uint64, n)...)
		c.next = append(c.next, make([]kafka.Offset, n)...)
	}
	if c.due != nil {
		c.due = append(c.due, make([]int64, n)...)
	}
	c.isStale = true
	p.end += kafka.Offset(n)
}
