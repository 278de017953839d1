package queue

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

// aborted tells which batches of a read have nothing for a consumer: markers, and what belongs to transactions that were aborted.
type aborted struct {
	coming []partition.AbortedTxn // by their first offset; not reached yet
	inside map[kafka.ProducerID]struct{}
}

func newAborted(read *partition.Read) aborted {
	if len(read.Aborted) == 0 {
		return aborted{}
	}
	a := aborted{coming: slices.Clone(read.Aborted), inside: map[kafka.ProducerID]struct{}{}}
	slices.SortFunc(a.coming, func(x, y partition.AbortedTxn) int { return cmp.Compare(x.First, y.First) })
	return a
}

// has is asked for each batch of the read, in order.
func (a *aborted) has(h *record.Header, batch []byte) bool {
	for len(a.coming) > 0 && a.coming[0].First <= h.LastOffset() {
		a.inside[a.coming[0].Producer] = struct{}{}
		a.coming = a.coming[1:]
	}
	if h.IsControl() {
		if len(a.inside) > 0 && isAbortMarker(batch) {
			delete(a.inside, h.ProducerID)
		}
		return true
	}
	_, in := a.inside[h.ProducerID]
	return in && h.IsTransactional()
}

func isAbortMarker(batch []byte) bool {
	for r, err := range record.Records(batch, 0) { // not compressed
		if err != nil {
			return false
		}
		m, ok, err := record.ParseEndTxnMarker(&r)
		return err == nil && ok && !m.Commit
	}
	return false
}
