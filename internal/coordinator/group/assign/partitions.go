package assign

import (
	"bytes"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Partitions is a set of partitions: topics by rising id, none empty, each with its partitions rising and without repeats. nil is the empty
// set. A Partitions is never changed once made; the functions here share the parts that stay the same.
type Partitions []Topic

// Topic is some partitions of one topic.
type Topic struct {
	ID         kafka.UUID
	Partitions []int32
}

func byID(a, b Topic) int { return bytes.Compare(a.ID[:], b.ID[:]) }

// Of makes a set from topics in any order with partitions in any order; repeats count once. It keeps no slice of list.
func Of(list []Topic) Partitions {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, byID)
	set := Partitions(sorted[:0])
	for _, t := range sorted {
		if len(t.Partitions) == 0 {
			continue
		}
		p := slices.Clone(t.Partitions)
		if n := len(set); n > 0 && set[n-1].ID == t.ID {
			p = append(p, set[n-1].Partitions...)
			set = set[:n-1]
		}
		slices.Sort(p)
		set = append(set, Topic{ID: t.ID, Partitions: slices.Compact(p)})
	}
	if len(set) == 0 {
		return nil
	}
	return set
}

// Len is the number of partitions.
func (s Partitions) Len() (n int) {
	for i := range s {
		n += len(s[i].Partitions)
	}
	return n
}

// Topic returns the partitions of a topic; nil when there are none.
func (s Partitions) Topic(id kafka.UUID) []int32 {
	if i, ok := slices.BinarySearchFunc(s, Topic{ID: id}, byID); ok {
		return s[i].Partitions
	}
	return nil
}

// Has reports whether the partition is in the set.
func (s Partitions) Has(id kafka.UUID, partition int32) bool {
	_, ok := slices.BinarySearch(s.Topic(id), partition)
	return ok
}

// Equal reports whether both sets hold the same partitions.
func (s Partitions) Equal(o Partitions) bool {
	return slices.EqualFunc(s, o, func(a, b Topic) bool {
		return a.ID == b.ID && (len(a.Partitions) > 0 && len(b.Partitions) > 0 && &a.Partitions[0] == &b.Partitions[0] && len(a.Partitions) == len(b.Partitions) ||
			slices.Equal(a.Partitions, b.Partitions))
	})
}

// Minus is what is in s and not in o.
func (s Partitions) Minus(o Partitions) Partitions {
	return s.filter(o, func(inBoth bool) bool { return !inBoth })
}

// And is what is in both.
func (s Partitions) And(o Partitions) Partitions {
	return s.filter(o, func(inBoth bool) bool { return inBoth })
}

// Meets reports whether a partition is in both.
func (s Partitions) Meets(o Partitions) bool {
	for _, t := range s {
		other := o.Topic(t.ID)
		for i := 0; i < len(t.Partitions) && len(other) > 0; i++ {
			if _, ok := slices.BinarySearch(other, t.Partitions[i]); ok {
				return true
			}
		}
	}
	return false
}

// Within reports whether every partition of s is in o.
func (s Partitions) Within(o Partitions) bool {
	for _, t := range s {
		other := o.Topic(t.ID)
		for _, p := range t.Partitions {
			if _, ok := slices.BinarySearch(other, p); !ok {
				return false
			}
		}
	}
	return true
}

func (s Partitions) filter(o Partitions, keep func(inBoth bool) bool) Partitions {
	var out Partitions
	for _, t := range s {
		other := o.Topic(t.ID)
		kept := t.Partitions
		if len(other) > 0 || !keep(false) {
			kept = nil
			j := 0
			for i, p := range t.Partitions {
				for j < len(other) && other[j] < p {
					j++
				}
				switch in := j < len(other) && other[j] == p; {
				case !keep(in):
					if kept == nil {
						kept = make([]int32, 0, len(t.Partitions)-1)
						kept = append(kept, t.Partitions[:i]...)
					}
				case kept != nil:
					kept = append(kept, p)
				}
			}
			if kept == nil {
				kept = t.Partitions // all of it
			}
		}
		if len(kept) > 0 {
			if out == nil {
				out = make(Partitions, 0, len(s))
			}
			out = append(out, Topic{ID: t.ID, Partitions: kept})
		}
	}
	return out
}

// Or is what is in either.
func (s Partitions) Or(o Partitions) Partitions {
	switch {
	case len(s) == 0:
		return o
	case len(o) == 0:
		return s
	}
	out := make(Partitions, 0, len(s)+len(o))
	for len(s) > 0 && len(o) > 0 {
		switch c := byID(s[0], o[0]); {
		case c < 0:
			out, s = append(out, s[0]), s[1:]
		case c > 0:
			out, o = append(out, o[0]), o[1:]
		default:
			p := make([]int32, 0, len(s[0].Partitions)+len(o[0].Partitions))
			p = append(append(p, s[0].Partitions...), o[0].Partitions...)
			slices.Sort(p)
			out = append(out, Topic{ID: s[0].ID, Partitions: slices.Compact(p)})
			s, o = s[1:], o[1:]
		}
	}
	return append(append(out, s...), o...)
}

// Each calls visit for every partition, in order, until it returns false.
func (s Partitions) Each(visit func(id kafka.UUID, partition int32) bool) {
	for _, t := range s {
		for _, p := range t.Partitions {
			if !visit(t.ID, p) {
				return
			}
		}
	}
}
