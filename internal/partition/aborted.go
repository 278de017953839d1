package partition

import (
	"cmp"
	"iter"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage/compact"
)

// AbortedTxn names a producer's aborted transaction by its first offset: from there to the next abort marker of the producer, who reads
// committed records skips what it wrote.
type AbortedTxn struct {
	Producer kafka.ProducerID
	First    kafka.Offset
}

// abortedTxn is an aborted transaction of the log.
type abortedTxn struct {
	producer kafka.ProducerID
	first    kafka.Offset
	last     kafka.Offset // of the marker
	stable   kafka.Offset // what was stable once the marker was there: no later entry begins below
}

// maxAborted is how many aborted transactions of a partition are remembered, 32 bytes each. Of those beyond, the log itself is asked
// (Partition.abortedIn): a read far back then reads more than it returns.
const maxAborted = 1 << 16

// abortedTxns are the aborted transactions whose marker lies at or above known, in the order of the markers. A copy of the value stays as it
// is while more are added, so readers may have one.
type abortedTxns struct {
	entries []abortedTxn
	known   kafka.Offset
}

// add takes in the next one. The entries of earlier copies are not touched: append writes behind them or elsewhere.
func (a *abortedTxns) add(t abortedTxn) {
	if len(a.entries) >= maxAborted {
		half := len(a.entries) / 2
		a.known = a.entries[half-1].last + 1
		a.entries = slices.Clone(a.entries[half:])
	}
	a.entries = append(a.entries, t)
}

// trim forgets what lies wholly below the log start.
func (a *abortedTxns) trim(start kafka.Offset) {
	a.entries = a.entries[a.from(start):]
}

// without returns a without the entries of these markers, which are in order.
func (a *abortedTxns) without(markers []kafka.Offset) abortedTxns {
	left := make([]abortedTxn, 0, len(a.entries))
	for _, t := range a.entries {
		if _, gone := slices.BinarySearch(markers, t.last); !gone {
			left = append(left, t)
		}
	}
	return abortedTxns{entries: left, known: a.known}
}

// from is the index of the first entry whose marker lies at or above the offset.
func (a *abortedTxns) from(offset kafka.Offset) int {
	i, _ := slices.BinarySearchFunc(a.entries, offset, func(t abortedTxn, offset kafka.Offset) int { return cmp.Compare(t.last, offset) })
	return i
}

// touches reports whether an entry may have records in [from, to).
func (a *abortedTxns) touches(from, to kafka.Offset) bool {
	if from < a.known {
		return true
	}
	for range a.in(from, to) {
		return true
	}
	return false
}

// in visits the entries with records in [from, to), as far as they are known.
func (a *abortedTxns) in(from, to kafka.Offset) iter.Seq[abortedTxn] {
	return func(yield func(abortedTxn) bool) {
		for _, t := range a.entries[a.from(from):] {
			if t.first < to && !yield(t) {
				return
			}
			if t.stable >= to {
				return
			}
		}
	}
}

// abortedIn lists the aborted transactions with records in [from, to), in the order of their markers. What is no longer remembered is read
// from the log: then a transaction that began below from is told as if it began there.
func (p *Partition) abortedIn(l *openLog, from, to kafka.Offset) ([]abortedTxn, error) {
	a := p.aborted.Load()
	if a == nil {
		return nil, nil
	}
	var found []abortedTxn
	if from < a.known {
		var err error
		if found, err = p.abortedInLog(l, from, to, a.known); err != nil {
			return nil, err
		}
	}
	for t := range a.in(from, to) {
		found = append(found, t)
	}
	return found, nil
}

// abortedInLog finds by reading those whose marker lies below known.
func (p *Partition) abortedInLog(l *openLog, from, to, known kafka.Offset) (found []abortedTxn, err error) {
	began := map[kafka.ProducerID]kafka.Offset{} // transactions with records from from on
	err = eachBatch(l, from, min(known, l.Bounds().End), func(h *record.Header, batch []byte) error {
		switch {
		case h.ProducerID < 0 || !h.IsTransactional():
			return nil
		case !h.IsControl():
			if _, open := began[h.ProducerID]; !open && h.BaseOffset < to {
				began[h.ProducerID] = max(h.BaseOffset, from)
			}
			return nil
		}
		first, open := began[h.ProducerID]
		delete(began, h.ProducerID)
		if !open {
			return nil
		}
		for r, err := range record.Records(batch, 0) {
			if err != nil {
				return err
			}
			if m, ok, err := record.ParseEndTxnMarker(&r); err != nil {
				return err
			} else if ok && !m.Commit {
				found = append(found, abortedTxn{producer: h.ProducerID, first: first, last: h.BaseOffset})
			}
		}
		if len(began) == 0 && h.BaseOffset >= to {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return found, err
}

// abortedBetween tells compaction of aborted transactions.
type abortedBetween struct {
	p *Partition
	l *openLog
}

// AbortedTransactions implements compact.Aborted.
func (a abortedBetween) AbortedTransactions(from, to kafka.Offset) ([]compact.AbortedTransaction, error) {
	found, err := a.p.abortedIn(a.l, max(from, a.p.LogStart()), to)
	if err != nil {
		return nil, a.p.readFailed(err)
	}
	all := make([]compact.AbortedTransaction, 0, len(found))
	for _, t := range found {
		all = append(all, compact.AbortedTransaction{Producer: t.producer, First: t.first, Last: t.last})
	}
	slices.SortFunc(all, func(x, y compact.AbortedTransaction) int { return cmp.Compare(x.First, y.First) })
	return all, nil
}
