package queue

import (
	"hash/maphash"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// Records are decompressed for a look at their keys by so many at a time, and each batch up to so many bytes: a batch that holds more is given
// out as if its records had no keys.
const (
	maxUnpacking = 4
	maxUnpacked  = 32 << 20
)

// keySeed makes hashes that nobody outside can aim at. Keys are read from the log again after a restart, so they need not outlive the process.
var keySeed = maphash.MakeSeed()

// hashOf is a key's hash, never 0.
func hashOf(key []byte) uint64 {
	if h := maphash.Bytes(keySeed, key); h != 0 {
		return h
	}
	return 1
}

// lookInto says what the batches that were read at a stretch are to a consumer; those beyond the stretch are left out. Where the log has
// nothing there is a stretch without records; nothing at all means that raw is damaged. Records are looked at only where they are
// new (from end on) and the group is ordered by key.
func (sp *sharePartition) lookInto(raw record.Batches, at share.Stretch, end kafka.Offset, ordered bool, read *partition.Read) []share.Batch {
	var seen []share.Batch
	next := at.First // nothing is known from here on
	skip := func(to kafka.Offset) {
		if to > next {
			seen = append(seen, share.Batch{First: next, Last: to - 1, IsGone: true})
		}
	}
	gone := newAborted(read)
	beyond := len(raw) == 0
	for h, b := range raw.All() {
		if beyond = h.BaseOffset > at.Last; beyond {
			break
		}
		skip(h.BaseOffset)
		one := share.Batch{First: h.BaseOffset, Last: h.LastOffset(), IsGone: gone.has(&h, b) || h.Records == 0}
		if !one.IsGone && h.LastOffset() >= end && ordered {
			one.Records = sp.unpack(b)
		}
		seen = append(seen, one)
		next = h.NextOffset()
	}
	if beyond {
		skip(at.Last + 1)
	}
	return seen
}

// unpack reads the keys of a batch's records. nil: it cannot be read, so its records are as any.
func (sp *sharePartition) unpack(batch []byte) []share.Record {
	h, ok := record.ParseHeader(batch)
	if ok && h.Codec() != record.None {
		sp.m.unpacked <- struct{}{}
		defer func() { <-sp.m.unpacked }()
	}
	var all []share.Record
	for r, err := range record.Records(batch, maxUnpacked) {
		if err != nil {
			sp.m.opts.Logger.Warn("the keys of a batch cannot be read, so its records are delivered as if they had none",
				"topic", sp.topic, "partition", sp.key.Partition, "offset", h.BaseOffset, "err", err)
			return nil
		}
		one := share.Record{Offset: r.Offset}
		if r.Key != nil {
			one.Key = hashOf(r.Key)
		}
		all = append(all, one)
	}
	return all
}
