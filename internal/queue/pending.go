package queue

import "sync"

// pending is share partitions in line for workers. A share partition is in line once at most; who puts it there sees to that.
type pending struct {
	mu     sync.Mutex // guards line and closed; a leaf
	more   *sync.Cond
	line   []*sharePartition
	closed bool
}

func (p *pending) init() { p.more = sync.NewCond(&p.mu) }

func (p *pending) push(sp *sharePartition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.line = append(p.line, sp)
		p.more.Signal()
	}
}

// take waits for the next; false: there will be none.
func (p *pending) take() (*sharePartition, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.line) == 0 && !p.closed {
		p.more.Wait()
	}
	if p.closed {
		return nil, false
	}
	sp := p.line[0]
	p.line[0] = nil
	p.line = p.line[1:]
	return sp, true
}

func (p *pending) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.line = true, nil
	p.more.Broadcast()
}
