package group

import (
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign/tasks"
	"github.com/rafka-io/rafka/internal/wire"
)

// taskIDsMinimum is the fewest bytes of a subtopology in appendTaskSet: an empty name, an empty array, no tags.
const taskIDsMinimum = 3

// appendTasks writes the arrays of active, standby and warm-up tasks; the active ones with, as tag 0, their epochs.
func appendTasks(dst []byte, h streamsHeld) []byte {
	dst = appendTaskSet(dst, h.Active, h.since)
	dst = appendTaskSet(dst, h.Standby, nil)
	return appendTaskSet(dst, h.Warmup, nil)
}

func appendTaskSet(dst []byte, set tasks.Set, since [][]int32) []byte {
	dst = wire.AppendCount(dst, len(set), true)
	for i, s := range set {
		dst = appendInt32s(wire.AppendString(dst, s.ID, true), s.Partitions)
		if since == nil || since[i] == nil {
			dst = wire.AppendNoTags(dst, true)
			continue
		}
		dst = appendTag(wire.AppendUvarint(dst, 1), 0, appendInt32s(nil, since[i]))
	}
	return dst
}

func appendInt32s(dst []byte, list []int32) []byte {
	dst = wire.AppendCount(dst, len(list), true)
	for _, n := range list {
		dst = wire.AppendInt32(dst, n)
	}
	return dst
}

// readTasks reads what appendTasks wrote.
func readTasks(r *wire.Reader) (h streamsHeld) {
	h.Active, h.since = readTaskSet(r)
	h.Standby, _ = readTaskSet(r)
	h.Warmup, _ = readTaskSet(r)
	return h
}

func readTaskSet(r *wire.Reader) (set tasks.Set, since [][]int32) {
	list := make([]tasks.Subtopology, r.Count(true, taskIDsMinimum))
	epochs := make([][]int32, len(list))
	known := false
	for i := range list {
		list[i].ID = string(r.String(true))
		list[i].Partitions = readInt32s(r)
		r.Tags(func(tag uint32, value []byte) {
			if tag == 0 {
				t := wire.NewReader(value)
				// A null array, or one of another length than the partitions, says nothing.
				if epochs[i] = readInt32s(&t); len(epochs[i]) == len(list[i].Partitions) {
					known = known || len(epochs[i]) > 0
					return
				}
				epochs[i] = nil
			}
		})
		if r.Err() != nil {
			return nil, nil
		}
	}
	set = tasks.Of(list)
	if !known {
		return set, nil
	}
	since = make([][]int32, len(set))
	for i, s := range list {
		at := slices.IndexFunc(set, func(o tasks.Subtopology) bool { return o.ID == s.ID })
		for j := range epochs[i] {
			if since[at] == nil {
				since[at] = make([]int32, len(set[at].Partitions))
			}
			k, _ := slices.BinarySearch(set[at].Partitions, s.Partitions[j])
			since[at][k] = epochs[i][j]
		}
	}
	return set, since
}

// settingMinimum is the fewest bytes of a setting: two empty texts and no tags.
const settingMinimum = 3

func appendSettings(dst []byte, list []setting) []byte {
	dst = wire.AppendCount(dst, len(list), true)
	for _, s := range list {
		dst = wire.AppendString(wire.AppendString(dst, s.key, true), s.value, true)
		dst = wire.AppendNoTags(dst, true)
	}
	return dst
}

func readSettings(r *wire.Reader) []setting {
	list := make([]setting, r.Count(true, settingMinimum))
	for i := range list {
		list[i] = setting{string(r.String(true)), string(r.String(true))}
		r.SkipTags()
	}
	return list
}
