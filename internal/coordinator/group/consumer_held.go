package group

import (
	"slices"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

// held is partitions that a member has, each with the member epoch at which it came to have it: a commit by the member's older epochs is still
// good for what it had then (KIP-1251).
type held struct {
	assign.Partitions
	// since has the epochs in the form of Partitions. nil: from a log of before KIP-1251, the member's own epoch for all of them.
	since [][]int32
}

// epochOf is the member epoch at which the partition was had first; ok is false when it is not had.
func (h held) epochOf(topic kafka.UUID, partition, memberEpoch int32) (epoch int32, ok bool) {
	for i := range h.Partitions {
		if t := &h.Partitions[i]; t.ID == topic {
			if at, found := slices.BinarySearch(t.Partitions, partition); found {
				if h.since == nil {
					return memberEpoch, true
				}
				return h.since[i][at], true
			}
			return 0, false
		}
	}
	return 0, false
}

// hold makes a held of set: what was had before keeps its epoch, which is memberEpoch where none is known, the rest begins at epoch.
func hold(set assign.Partitions, epoch, memberEpoch int32, before ...held) held {
	if len(set) == 0 {
		return held{}
	}
	h := held{Partitions: set, since: make([][]int32, len(set))}
	for i, t := range set {
		h.since[i] = make([]int32, len(t.Partitions))
		for j, p := range t.Partitions {
			h.since[i][j] = epoch
			for _, b := range before {
				if e, ok := b.epochOf(t.ID, p, memberEpoch); ok {
					h.since[i][j] = e
					break
				}
			}
		}
	}
	return h
}

// topicsMinimum is the fewest bytes of a topic in appendHeld: its id, an empty array, no tags.
const topicsMinimum = 18

// appendHeld writes an array of topics with partitions and, as tag 0, their epochs.
func appendHeld(dst []byte, h held) []byte {
	dst = wire.AppendCount(dst, len(h.Partitions), true)
	for i, t := range h.Partitions {
		dst = appendTopic(dst, t)
		if h.since == nil {
			dst = wire.AppendNoTags(dst, true)
			continue
		}
		epochs := wire.AppendCount(make([]byte, 0, 4*len(h.since[i])+5), len(h.since[i]), true)
		for _, e := range h.since[i] {
			epochs = wire.AppendInt32(epochs, e)
		}
		dst = appendTag(wire.AppendUvarint(dst, 1), 0, epochs)
	}
	return dst
}

// appendPartitions writes an array of topics with partitions.
func appendPartitions(dst []byte, set assign.Partitions) []byte {
	dst = wire.AppendCount(dst, len(set), true)
	for _, t := range set {
		dst = wire.AppendNoTags(appendTopic(dst, t), true)
	}
	return dst
}

func appendTopic(dst []byte, t assign.Topic) []byte {
	dst = append(dst, t.ID[:]...)
	dst = wire.AppendCount(dst, len(t.Partitions), true)
	for _, p := range t.Partitions {
		dst = wire.AppendInt32(dst, p)
	}
	return dst
}

// appendTag writes one tagged field; their number goes before the first.
func appendTag(dst []byte, tag uint32, value []byte) []byte {
	dst = wire.AppendUvarint(wire.AppendUvarint(dst, tag), uint32(len(value)))
	return append(dst, value...)
}

// readHeld reads what appendHeld or appendPartitions wrote.
func readHeld(r *wire.Reader) held {
	list := make([]assign.Topic, r.Count(true, topicsMinimum))
	epochs := make([][]int32, len(list))
	known := false
	for i := range list {
		list[i].ID = r.UUID()
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
			return held{}
		}
	}
	h := held{Partitions: assign.Of(list)}
	if !known {
		return h
	}
	h.since = make([][]int32, len(h.Partitions))
	for i := range h.Partitions {
		h.since[i] = make([]int32, len(h.Partitions[i].Partitions))
	}
	for i, t := range list {
		at := slices.IndexFunc(h.Partitions, func(o assign.Topic) bool { return o.ID == t.ID })
		for j := range epochs[i] {
			k, _ := slices.BinarySearch(h.Partitions[at].Partitions, t.Partitions[j])
			h.since[at][k] = epochs[i][j]
		}
	}
	return h
}

func readInt32s(r *wire.Reader) []int32 {
	list := make([]int32, r.Count(true, 4))
	for i := range list {
		list[i] = r.Int32()
	}
	return list
}

// readStrings reads an array of strings that may not be null.
func readStrings(r *wire.Reader) []string {
	list := make([]string, r.Count(true, 1))
	for i := range list {
		list[i] = string(r.String(true))
	}
	return list
}

func appendStrings(dst []byte, list []string) []byte {
	dst = wire.AppendCount(dst, len(list), true)
	for _, s := range list {
		dst = wire.AppendString(dst, s, true)
	}
	return dst
}
