package seglog

import (
	"context"
	"sync"
)

// Memory of tails comes in blocks of these sizes, all aligned for direct I/O.
const (
	chunkBytes = 1 << 20 // what the pool takes from the system at a time, and the largest block
	minBlock   = 4 << 10
)

var classes = [...]int{minBlock, 16 << 10, 64 << 10, 256 << 10, chunkBytes}

func classFor(n int) int {
	for c, size := range classes {
		if n <= size {
			return c
		}
	}
	return len(classes) - 1
}

// pool hands out blocks within a budget. Memory once touched is used again before new memory is asked for, since first touches are
// what makes a buffered broker slow on virtual machines. A chunk serves one class; it returns to the free chunks when its last block does.
//
// It does not grow to its budget for the sake of appends alone: past the least it has cached blocks evicted, as at the budget. What is read from files raises
// the least, for then there is somebody whom more memory would have served.
type pool struct {
	budget int64
	evict  func() bool // frees a cached block somewhere; false: nothing to free. Called without pool.mu.
	drop   func() bool // is evict, and does nothing about it when there is nothing to free

	mu     sync.Mutex                       // leaf; guards what follows, memory work only
	least  int64                            // at most budget
	used   int64                            // bytes in chunks that are in use
	idle   [][]byte                         // free chunks, most recently freed last
	slabs  [len(classes)]map[*slab]struct{} // slabs with room
	freed  chan struct{}                    // closed when something was freed while someone waits
	peak   int64
	closed bool
}

// slab is a chunk cut into equal blocks.
type slab struct {
	class int
	mem   []byte
	free  []int // indexes of free blocks
	live  int
}

// mem is one block's memory with the slab it returns to.
type mem struct {
	buf  []byte
	slab *slab
	at   int
}

func newPool(budget, least int64) *pool {
	p := &pool{budget: max(budget, 4*chunkBytes)}
	p.least = min(max(least, 4*chunkBytes), p.budget)
	for c := range p.slabs {
		p.slabs[c] = map[*slab]struct{}{}
	}
	return p
}

// tryGet returns a block of the class, or false if the budget is used up.
func (p *pool) tryGet(class int) (mem, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeLocked(class, p.budget)
}

// missed notes that so many bytes are read from a file.
func (p *pool) missed(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.least = min(p.least+bytes, p.budget)
}

// mostDropped is how many cached blocks are evicted for one new block before the pool grows instead: those of many small ones lie in many chunks.
const mostDropped = 64

// recycle returns a block of the class without more than the least being used, if it can be had by evicting.
func (p *pool) recycle(class int) (mem, bool) {
	for range mostDropped {
		p.mu.Lock()
		m, ok := p.takeLocked(class, p.least)
		grown := p.least == p.budget
		p.mu.Unlock()
		if ok || grown || !p.drop() {
			return m, ok
		}
	}
	return mem{}, false
}

// takeLocked takes a block of the class, from a new chunk only if no more than most bytes are used then.
func (p *pool) takeLocked(class int, most int64) (mem, bool) {
	for s := range p.slabs[class] {
		at := s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		s.live++
		if len(s.free) == 0 {
			delete(p.slabs[class], s)
		}
		size := classes[class]
		return mem{buf: s.mem[at*size : (at+1)*size : (at+1)*size], slab: s, at: at}, true
	}
	if p.used+chunkBytes > most {
		return mem{}, false
	}
	var chunk []byte
	if n := len(p.idle); n > 0 {
		chunk, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		chunk = mapChunk()
	}
	p.used += chunkBytes
	p.peak = max(p.peak, p.used)
	s := &slab{class: class, mem: chunk, live: 1}
	n := chunkBytes / classes[class]
	for i := n - 1; i > 0; i-- {
		s.free = append(s.free, i)
	}
	if n > 1 {
		p.slabs[class][s] = struct{}{}
	}
	return mem{buf: chunk[:classes[class]:classes[class]], slab: s}, true
}

// get returns a block of the class, evicting cached ones and, when there is nothing to evict, waiting until some are freed.
func (p *pool) get(ctx context.Context, class int) (mem, error) {
	if m, ok := p.recycle(class); ok {
		return m, nil
	}
	for {
		p.mu.Lock()
		m, ok := p.takeLocked(class, p.budget)
		if ok {
			p.mu.Unlock()
			return m, nil
		}
		if p.freed == nil {
			p.freed = make(chan struct{})
		}
		wait := p.freed
		p.mu.Unlock()
		if p.evict() {
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return mem{}, ctx.Err()
		}
	}
}

func (p *pool) put(m mem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := m.slab
	s.live--
	s.free = append(s.free, m.at)
	if s.live == 0 {
		delete(p.slabs[s.class], s)
		p.used -= chunkBytes
		if p.closed {
			unmapChunk(s.mem)
		} else {
			p.idle = append(p.idle, s.mem)
		}
	} else if len(s.free) == 1 {
		p.slabs[s.class][s] = struct{}{}
	}
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
}

// poke has those who wait for memory look again: something may have become evictable.
func (p *pool) poke() {
	p.mu.Lock()
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
	p.mu.Unlock()
}

// shrink gives free chunks beyond keep back to the system.
func (p *pool) shrink(keep int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > keep {
		n := len(p.idle) - 1
		unmapChunk(p.idle[n])
		p.idle[n] = nil
		p.idle = p.idle[:n]
	}
}

// close gives back what is free; blocks still held by readers go when they are put.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.shrink(0)
}

func (p *pool) usedBytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}
