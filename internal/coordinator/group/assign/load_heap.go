package assign

import "container/heap"

// loadHeap has the least (or the most) loaded of some members in front; of equals, the first in the order of members.
type loadHeap struct {
	members []int32
	loads   []int32 // of all members
	most    bool
	where   map[int32]int // of members
}

func newLoadHeap(members, loads []int32, most bool) *loadHeap {
	h := &loadHeap{members: append([]int32(nil), members...), loads: loads, most: most, where: make(map[int32]int, len(members))}
	for i, at := range h.members {
		h.where[at] = i
	}
	heap.Init(h)
	return h
}

// changed puts a member in its place after its load has changed; a member that is not in the heap is ignored.
func (h *loadHeap) changed(member int32) {
	if i, ok := h.where[member]; ok {
		heap.Fix(h, i)
	}
}

// drop takes out the member in front.
func (h *loadHeap) drop() { heap.Pop(h) }

func (h *loadHeap) Len() int { return len(h.members) }

func (h *loadHeap) Less(i, j int) bool {
	a, b := h.members[i], h.members[j]
	if h.loads[a] != h.loads[b] {
		return (h.loads[a] < h.loads[b]) != h.most
	}
	return a < b
}

func (h *loadHeap) Swap(i, j int) {
	h.members[i], h.members[j] = h.members[j], h.members[i]
	h.where[h.members[i]], h.where[h.members[j]] = i, j
}

// Push is heap.Interface's; nothing is added after newLoadHeap.
func (h *loadHeap) Push(x any) {
	h.where[x.(int32)] = len(h.members)
	h.members = append(h.members, x.(int32))
}

// Pop is heap.Interface's.
func (h *loadHeap) Pop() any {
	last := h.members[len(h.members)-1]
	h.members = h.members[:len(h.members)-1]
	delete(h.where, last)
	return last
}
