package share

import "github.com/rafka-io/rafka/internal/kafka"

// keyQueue is the records of one key that are not done, in the order of offsets: only the first may be delivered. The links between them stand in
// the chunks (chunk.next).
type keyQueue struct{ head, tail kafka.Offset }

// queueKey puts a record that is about to be appended behind the others of its key; isBlocked: there are others.
func (p *Partition) queueKey(key uint64, o kafka.Offset) (isBlocked bool) {
	q, ok := p.keys[key]
	if !ok {
		if p.keys == nil {
			p.keys = map[uint64]keyQueue{}
		}
		p.keys[key] = keyQueue{o, o}
		return false
	}
	c := p.chunks[p.chunkOf(q.tail)]
	c.next[q.tail-c.first] = o
	q.tail = o
	p.keys[key] = q
	return true
}

// passKey is called when the first record of a key is done; next is the one behind it.
func (p *Partition) passKey(key uint64, next kafka.Offset) {
	if key == 0 {
		return
	}
	if next == 0 {
		delete(p.keys, key)
		return
	}
	q := p.keys[key]
	q.head = next
	p.keys[key] = q
	c := p.chunks[p.chunkOf(next)]
	i := int64(next - c.first)
	r := run{c, i, i + 1, c.at(i)}
	s := r.s
	s.isBlocked = false
	p.set(r, s)
	p.hasWoken = true
}

func (c *chunk) needKeys() {
	if c.keys == nil {
		c.keys, c.next = make([]uint64, c.n, chunkSize), make([]kafka.Offset, c.n, chunkSize)
	}
}

func (c *chunk) needDue() {
	if c.due == nil {
		c.due = make([]int64, c.n, chunkSize)
	}
}
