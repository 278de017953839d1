package partition

import "github.com/rafka-io/rafka/internal/kafka"

// due lists what waits until a time at most, the earliest first: as many as are asked for, and no more bytes but for the first. It changes
// nothing and costs in proportion to what it lists.
func (d *delays) due(until kafka.Timestamp, most int, bytes int64) (found []waitingRecord) {
	// Candidates are places in the heap, in a heap of their own: a place comes before both that lie below it.
	var next []int32
	put := func(i int) {
		if i >= len(d.heap) || d.heap[i].due > until {
			return
		}
		next = append(next, int32(i))
		for c := len(next) - 1; c > 0; {
			up := (c - 1) / 2
			if !d.heap[next[c]].before(&d.heap[next[up]]) {
				return
			}
			next[c], next[up] = next[up], next[c]
			c = up
		}
	}
	cut := func() int {
		first := next[0]
		last := len(next) - 1
		next[0] = next[last]
		next = next[:last]
		for i := 0; ; {
			least := 2*i + 1
			if least >= last {
				return int(first)
			}
			if right := least + 1; right < last && d.heap[next[right]].before(&d.heap[next[least]]) {
				least = right
			}
			if !d.heap[next[least]].before(&d.heap[next[i]]) {
				return int(first)
			}
			next[i], next[least] = next[least], next[i]
			i = least
		}
	}
	put(0)
	for len(next) > 0 && len(found) < most {
		i := cut()
		put(2*i + 1)
		put(2*i + 2)
		r := &d.heap[i]
		if _, gone := d.gone[r.offset]; gone {
			continue
		}
		if bytes -= int64(r.size); bytes < 0 && len(found) > 0 {
			break
		}
		found = append(found, *r)
	}
	return found
}

// inOrder compares by time, then offset.
func inOrder(a, b waitingRecord) int {
	switch {
	case a.before(&b):
		return -1
	case b.before(&a):
		return 1
	}
	return 0
}

// dueAtOnce is how many records due lists where until finds no time up to which few enough wait.
const dueAtOnce = 4 << 10

// until lists, in no order, all that waits until a time, or until an earlier one if that is too much: more than so many records or bytes. It says until
// when. It is a walk over little more than it lists, and much quicker than due, which does its work where too many wait for one moment.
func (d *delays) until(until kafka.Timestamp, most int, bytes int64) (found []waitingRecord, reached kafka.Timestamp) {
	top := d.top()
	if top > until {
		return nil, until
	}
	for width := until - top; ; width /= 8 {
		if found, ok := d.walk(top+width, most, bytes, found[:0]); ok {
			return found, top + width
		}
		if width == 0 {
			break
		}
	}
	found = d.due(top, min(most, dueAtOnce), bytes)
	if len(found) == 0 {
		return nil, top
	}
	return found, top
}

// walk lists all that waits until a time; ok is false if it is too much.
func (d *delays) walk(until kafka.Timestamp, most int, bytes int64, found []waitingRecord) (_ []waitingRecord, ok bool) {
	var room [64]int32
	places := append(room[:0], 0)
	for len(places) > 0 {
		i := int(places[len(places)-1])
		places = places[:len(places)-1]
		if i >= len(d.heap) || d.heap[i].due > until {
			continue
		}
		places = append(places, int32(2*i+1), int32(2*i+2))
		r := &d.heap[i]
		if _, gone := d.gone[r.offset]; gone {
			continue
		}
		if bytes -= int64(r.size); len(found) == most || bytes < 0 && len(found) > 0 {
			return found, false
		}
		found = append(found, *r)
	}
	return found, true
}
