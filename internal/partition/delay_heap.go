package partition

import "github.com/rafka-io/rafka/internal/kafka"

// settle takes those off the top that no longer wait.
func (d *delays) settle() {
	for len(d.heap) > 0 && len(d.gone) > 0 {
		at := d.heap[0].offset
		by, gone := d.gone[at]
		if !gone {
			return
		}
		delete(d.gone, at)
		d.forget(d.pop(), by)
	}
	if len(d.heap) == 0 {
		d.heap, d.gone = nil, nil
	}
}

func (d *delays) pop() waitingRecord {
	top := d.heap[0]
	last := len(d.heap) - 1
	d.heap[0] = d.heap[last]
	d.heap = d.heap[:last]
	d.down(0)
	return top
}

func (d *delays) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(d.heap) {
			return
		}
		if right := least + 1; right < len(d.heap) && d.heap[right].before(&d.heap[least]) {
			least = right
		}
		if !d.heap[least].before(&d.heap[i]) {
			return
		}
		d.heap[i], d.heap[least] = d.heap[least], d.heap[i]
		i = least
	}
}

// rebuild makes a heap of what waits.
func (d *delays) rebuild() {
	kept := d.heap[:0]
	for _, r := range d.heap {
		if by, gone := d.gone[r.offset]; gone {
			d.forget(r, by)
		} else {
			kept = append(kept, r)
		}
	}
	d.heap, d.gone = kept, nil
	for i := len(d.heap)/2 - 1; i >= 0; i-- {
		d.down(i)
	}
	d.settle()
}

// oldest is the smallest offset of a record that waits, noneOpen if none does. It looks at all of them.
func (d *delays) oldest() kafka.Offset {
	least := noneOpen
	for r := range d.all {
		least = min(least, r.offset)
	}
	return least
}

// all visits what waits, in no order.
func (d *delays) all(yield func(waitingRecord) bool) {
	for r := range d.readable {
		if !yield(r) {
			return
		}
	}
	for _, r := range d.parked {
		if !yield(r) {
			return
		}
	}
}

// readable visits what waits and is not parked.
func (d *delays) readable(yield func(waitingRecord) bool) {
	for _, r := range d.heap {
		if _, gone := d.gone[r.offset]; !gone && !yield(r) {
			return
		}
	}
}
