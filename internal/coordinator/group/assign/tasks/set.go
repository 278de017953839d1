package tasks

import (
	"cmp"
	"iter"
	"slices"
)

// Task is one partition of one subtopology.
type Task struct {
	Subtopology string
	Partition   int32
}

// Set is a set of tasks: subtopologies by rising id, none empty, each with its partitions rising and without repeats. nil is the empty set. A
// Set is never changed once made; the functions here share the parts that stay the same.
type Set []Subtopology

// Subtopology is some tasks of one subtopology.
type Subtopology struct {
	ID         string
	Partitions []int32
}

func byID(a, b Subtopology) int { return cmp.Compare(a.ID, b.ID) }

// Of makes a set from subtopologies in any order with partitions in any order; repeats count once. It keeps no slice of list.
func Of(list []Subtopology) Set {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, byID)
	set := Set(sorted[:0])
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
		set = append(set, Subtopology{ID: t.ID, Partitions: slices.Compact(p)})
	}
	if len(set) == 0 {
		return nil
	}
	return set
}

// ofTasks makes a set of tasks in any order.
func ofTasks(list []Task) Set {
	slices.SortFunc(list, byTask)
	var set Set
	for i, t := range list {
		if i > 0 && list[i-1] == t {
			continue
		}
		if n := len(set); n == 0 || set[n-1].ID != t.Subtopology {
			set = append(set, Subtopology{ID: t.Subtopology})
		}
		at := &set[len(set)-1]
		at.Partitions = append(at.Partitions, t.Partition)
	}
	return set
}

func byTask(a, b Task) int {
	if c := cmp.Compare(a.Subtopology, b.Subtopology); c != 0 {
		return c
	}
	return cmp.Compare(a.Partition, b.Partition)
}

// Len is the number of tasks.
func (s Set) Len() (n int) {
	for i := range s {
		n += len(s[i].Partitions)
	}
	return n
}

// Of returns the partitions of a subtopology; nil when there are none.
func (s Set) Of(id string) []int32 {
	if i, ok := slices.BinarySearchFunc(s, Subtopology{ID: id}, byID); ok {
		return s[i].Partitions
	}
	return nil
}

// Has reports whether the task is in the set.
func (s Set) Has(t Task) bool {
	_, ok := slices.BinarySearch(s.Of(t.Subtopology), t.Partition)
	return ok
}

// All goes through the tasks in order.
func (s Set) All() iter.Seq[Task] {
	return func(yield func(Task) bool) {
		for i := range s {
			for _, p := range s[i].Partitions {
				if !yield(Task{s[i].ID, p}) {
					return
				}
			}
		}
	}
}

// Equal reports whether both sets hold the same tasks.
func (s Set) Equal(o Set) bool {
	return slices.EqualFunc(s, o, func(a, b Subtopology) bool { return a.ID == b.ID && slices.Equal(a.Partitions, b.Partitions) })
}

// Minus is what is in s and not in o.
func (s Set) Minus(o Set) Set {
	if len(s) == 0 || len(o) == 0 {
		return s
	}
	return s.Filter(func(t Task) bool { return !o.Has(t) })
}

// And is what is in both.
func (s Set) And(o Set) Set {
	if len(s) == 0 || len(o) == 0 {
		return nil
	}
	return s.Filter(o.Has)
}

// Or is what is in either.
func (s Set) Or(o Set) Set {
	switch {
	case len(s) == 0:
		return o
	case len(o) == 0:
		return s
	}
	return Of(append(slices.Clone(s), o...))
}

// Within reports whether all of s is in o.
func (s Set) Within(o Set) bool { return s.And(o).Len() == s.Len() }

// Meets reports whether s and o have a task in common.
func (s Set) Meets(o Set) bool { return len(s.And(o)) > 0 }

// Filter is the tasks of s that keep lets through; s itself when it lets all.
func (s Set) Filter(keep func(Task) bool) Set {
	var out Set
	changed := false
	for i := range s {
		var kept []int32
		whole := true
		for j, p := range s[i].Partitions {
			if keep(Task{s[i].ID, p}) {
				if !whole {
					kept = append(kept, p)
				}
			} else if whole {
				whole = false
				kept = slices.Clone(s[i].Partitions[:j])
			}
		}
		if whole {
			kept = s[i].Partitions
		}
		changed = changed || !whole
		if len(kept) > 0 {
			out = append(out, Subtopology{s[i].ID, kept})
		}
	}
	if !changed {
		return s
	}
	return out
}
