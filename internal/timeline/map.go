package timeline

import "iter"

// Map is a map with its past. What a V points to must not be changed in place: Set a new one.
type Map[K comparable, V any] struct {
	reg    *Registry
	now    map[K]V
	deltas []mapDelta[K, V]
}

// mapDelta is what a Map held at an epoch under the keys that have changed since. Most deltas have a handful of keys, so they are a list until
// they outgrow it.
type mapDelta[K comparable, V any] struct {
	at    Epoch
	size  int
	few   []oldEntry[K, V]
	index map[K]int // of few; nil while few is short
}

type oldEntry[K comparable, V any] struct {
	key K
	was V
	had bool
}

// longList is the length from which a delta is looked up by an index.
const longList = 12

func (d *mapDelta[K, V]) find(k K) *oldEntry[K, V] {
	if d.index != nil {
		if i, ok := d.index[k]; ok {
			return &d.few[i]
		}
		return nil
	}
	for i := range d.few {
		if d.few[i].key == k {
			return &d.few[i]
		}
	}
	return nil
}

func (d *mapDelta[K, V]) add(e oldEntry[K, V]) {
	d.few = append(d.few, e)
	switch {
	case d.index != nil:
		d.index[e.key] = len(d.few) - 1
	case len(d.few) > longList:
		d.index = make(map[K]int, 2*len(d.few))
		for i := range d.few {
			d.index[d.few[i].key] = i
		}
	}
}

// NewMap returns an empty Map.
func NewMap[K comparable, V any](r *Registry) *Map[K, V] {
	return &Map[K, V]{reg: r, now: map[K]V{}}
}

// Get finds a value.
func (m *Map[K, V]) Get(k K) (V, bool) {
	v, ok := m.now[k]
	return v, ok
}

// GetAt finds a value at an epoch that has not been released (TML-2).
func (m *Map[K, V]) GetAt(k K, at Epoch) (v V, ok bool) {
	for i := range m.deltas {
		if m.deltas[i].at < at {
			continue
		}
		if e := m.deltas[i].find(k); e != nil {
			return e.was, e.had
		}
	}
	return m.Get(k)
}

// Set puts a value.
func (m *Map[K, V]) Set(k K, v V) {
	m.remember(k)
	m.now[k] = v
}

// Delete removes a value if there is one.
func (m *Map[K, V]) Delete(k K) {
	if _, ok := m.now[k]; ok {
		m.remember(k)
		delete(m.now, k)
	}
}

// Len is how many values there are.
func (m *Map[K, V]) Len() int { return len(m.now) }

// LenAt is how many there were at an epoch.
func (m *Map[K, V]) LenAt(at Epoch) int {
	for i := range m.deltas {
		if m.deltas[i].at >= at {
			return m.deltas[i].size
		}
	}
	return len(m.now)
}

// All goes through the map, in no order. The map may be changed meanwhile as a Go map may.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, v := range m.now {
			if !yield(k, v) {
				return
			}
		}
	}
}

// AllAt goes through the map as it was at an epoch, in no order. The map must not change meanwhile.
func (m *Map[K, V]) AllAt(at Epoch) iter.Seq2[K, V] {
	first := 0
	for first < len(m.deltas) && m.deltas[first].at < at {
		first++
	}
	if first == len(m.deltas) {
		return m.All()
	}
	return func(yield func(K, V) bool) {
		for k, v := range m.now {
			if m.changedSince(first, k) {
				continue
			}
			if !yield(k, v) {
				return
			}
		}
		for i := first; i < len(m.deltas); i++ {
			for _, e := range m.deltas[i].few {
				if e.had && !m.changedIn(first, i, e.key) && !yield(e.key, e.was) {
					return
				}
			}
		}
	}
}

// changedSince reports whether a delta from the first on has the key; changedIn whether one in [first, end) has it.
func (m *Map[K, V]) changedSince(first int, k K) bool { return m.changedIn(first, len(m.deltas), k) }

func (m *Map[K, V]) changedIn(first, end int, k K) bool {
	for i := first; i < end; i++ {
		if m.deltas[i].find(k) != nil {
			return true
		}
	}
	return false
}

// remember keeps what stands under k, if a snapshot wants to know and does not yet.
func (m *Map[K, V]) remember(k K) {
	at, ok := m.reg.last()
	if !ok {
		return
	}
	n := len(m.deltas)
	if n == 0 || m.deltas[n-1].at != at {
		m.deltas = append(m.deltas, mapDelta[K, V]{at: at, size: len(m.now)})
		m.reg.note(m)
		n++
	}
	if d := &m.deltas[n-1]; d.find(k) == nil {
		was, had := m.now[k]
		d.add(oldEntry[K, V]{k, was, had})
	}
}

func (m *Map[K, V]) revert(at Epoch) {
	n := len(m.deltas)
	for ; n > 0 && m.deltas[n-1].at >= at; n-- {
		for _, e := range m.deltas[n-1].few {
			if e.had {
				m.now[e.key] = e.was
			} else {
				delete(m.now, e.key)
			}
		}
	}
	clear(m.deltas[n:])
	m.deltas = m.deltas[:n]
}

func (m *Map[K, V]) release(below Epoch) {
	n := 0
	for n < len(m.deltas) && m.deltas[n].at < below {
		n++
	}
	m.deltas = dropFront(m.deltas, n)
}
