package assign

import "container/heap"

// shareHeap finds the partition that the fewest share. The numbers in it may be out of date, but never too high: nobody takes a share back.
type shareHeap []shareCount

type shareCount struct {
	shared int32
	place
}

func (s *sharing) newShareHeap(topics []int32) *shareHeap {
	var h shareHeap
	for _, t := range topics {
		for part := range s.counts[t] {
			h = append(h, shareCount{s.shared[t][part], place{t, part}})
		}
	}
	heap.Init(&h)
	return &h
}

// least is the partition that the fewest share; of equals, the first.
func (h *shareHeap) least(shared [][]int32) place {
	for {
		first := &(*h)[0]
		if now := shared[first.topic][first.partition]; now == first.shared {
			return first.place
		} else {
			first.shared = now
			heap.Fix(h, 0)
		}
	}
}

func (h shareHeap) Len() int      { return len(h) }
func (h shareHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h shareHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case a.shared != b.shared:
		return a.shared < b.shared
	case a.topic != b.topic:
		return a.topic < b.topic
	}
	return a.partition < b.partition
}

// Push and Pop are heap.Interface's; least neither adds nor removes.
func (h *shareHeap) Push(x any) { *h = append(*h, x.(shareCount)) }

// Pop is heap.Interface's.
func (h *shareHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
