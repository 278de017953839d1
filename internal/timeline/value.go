package timeline

// Value is one value with its past. What V points to must not be changed in place: Set a new one.
type Value[V any] struct {
	reg    *Registry
	now    V
	deltas []valueDelta[V]
}

// valueDelta is what a Value held at an epoch.
type valueDelta[V any] struct {
	at  Epoch
	was V
}

// NewValue returns a Value that holds v.
func NewValue[V any](r *Registry, v V) *Value[V] { return &Value[V]{reg: r, now: v} }

// Get is the value of now.
func (v *Value[V]) Get() V { return v.now }

// GetAt is the value at an epoch that has not been released (TML-2).
func (v *Value[V]) GetAt(at Epoch) V {
	for i := range v.deltas {
		if v.deltas[i].at >= at {
			return v.deltas[i].was
		}
	}
	return v.now
}

// Set changes the value.
func (v *Value[V]) Set(to V) {
	if at, ok := v.reg.last(); ok && (len(v.deltas) == 0 || v.deltas[len(v.deltas)-1].at != at) {
		v.deltas = append(v.deltas, valueDelta[V]{at, v.now})
		v.reg.note(v)
	}
	v.now = to
}

func (v *Value[V]) revert(at Epoch) {
	n := len(v.deltas)
	for ; n > 0 && v.deltas[n-1].at >= at; n-- {
		v.now = v.deltas[n-1].was
	}
	clear(v.deltas[n:])
	v.deltas = v.deltas[:n]
}

func (v *Value[V]) release(below Epoch) {
	n := 0
	for n < len(v.deltas) && v.deltas[n].at < below {
		n++
	}
	v.deltas = dropFront(v.deltas, n)
}

// dropFront removes the first n elements and lets go of what they held.
func dropFront[E any](s []E, n int) []E {
	if n == 0 {
		return s
	}
	left := copy(s, s[n:])
	clear(s[left:])
	if left == 0 && cap(s) > 8 {
		return nil
	}
	return s[:left]
}
