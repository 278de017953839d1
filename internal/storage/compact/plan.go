package compact

import (
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// State is what the caller knows of a log.
type State struct {
	LogStart      kafka.Offset
	HighWatermark kafka.Offset
	LastStable    kafka.Offset // the last stable offset: no open transaction began below it
	FirstDirty    kafka.Offset // Result.FirstDirty of the last run; 0 for a log that was never compacted
	Aborted       Aborted      // nil: no transaction was aborted
	Producers     Producers    // nil: no producer is active
}

// Aborted tells the aborted transactions with data in [from, to), by first offset. It goes on to tell one whose data compaction has removed
// until Result.Vanished names its marker and the caller has forgotten it for good: only then does the marker go.
type Aborted interface {
	AbortedTransactions(from, to kafka.Offset) ([]AbortedTransaction, error)
}

// AbortedTransaction is one producer's transaction that was aborted.
type AbortedTransaction struct {
	Producer kafka.ProducerID
	First    kafka.Offset // of its first record
	Last     kafka.Offset // of its marker
}

// Producers tells what must stay of a producer that may still write.
type Producers interface {
	// LastRecord answers for an active producer. ok is false if the producer has expired: then nothing need stay of it.
	LastRecord(kafka.ProducerID) (last LastRecord, ok bool)
}

// LastRecord is the end of what an active producer has written.
type LastRecord struct {
	Offset kafka.Offset        // of its last data record; NoOffset if it wrote only markers since the log's beginning
	Epoch  kafka.ProducerEpoch // of its last batch
}

// Work is a piece of a log that is worth compacting: [From, To), of which [Dirty, To) was not compacted yet. All bounds are those of
// segments, except that Dirty may lie inside one.
type Work struct {
	From, Dirty, To kafka.Offset
	CleanBytes      int64
	DirtyBytes      int64
	Overdue         bool // max.compaction.lag.ms has passed, or the window has left whole segments behind
}

// DirtyRatio is the share of the bytes that was not compacted yet.
func (w *Work) DirtyRatio() float64 {
	if w.CleanBytes+w.DirtyBytes == 0 {
		return 0
	}
	return float64(w.DirtyBytes) / float64(w.CleanBytes+w.DirtyBytes)
}

// Plan says what can be compacted, and whether it should be now.
//
// Example: min.cleanable.dirty.ratio 0.5, segments [0..10) 100 MB clean, [10..20) 60 MB, [20..30) 60 MB, [30..31) active. 120 of 220 MB
// are dirty: yes. With an open transaction at 25 the last stable offset excludes [20..30): 60 of 160 MB, no.
func Plan(segs []storage.SegmentInfo, st State, pol Policy, now time.Time) (Work, bool) {
	segs = eligible(segs, &st)
	if len(segs) == 0 {
		return Work{}, false
	}
	w := Work{From: segs[0].Base, Dirty: firstDirty(segs, &st)}
	w.To = w.From
	edge := kafka.Timestamp(now.Add(-pol.MinLag).UnixMilli())
	window := pol.windowStart(now)
	for i := range segs {
		s := &segs[i]
		dirty := s.Next > w.Dirty
		if dirty && pol.MinLag > 0 && s.MaxTimestamp > edge {
			break // nor anything later, even if it is older: the order of offsets counts
		}
		if dirty {
			w.DirtyBytes += s.Bytes
			w.Overdue = w.Overdue || pol.MaxLag > 0 && s.Bytes > 0 && firstWritten(s).Before(now.Add(-pol.MaxLag))
		} else {
			w.CleanBytes += s.Bytes
		}
		if s.MaxTimestamp != kafka.NoTimestamp && s.MaxTimestamp < window {
			w.Overdue = true
		}
		w.To = s.Next
	}
	w.Dirty = min(w.Dirty, w.To)
	wanted := w.Overdue || w.DirtyBytes > 0 && pol.byKey() && w.DirtyRatio() > pol.MinDirtyRatio
	return w, wanted && w.To > w.From
}

// eligible is the closed segments wholly below the high watermark and the last stable offset (CMP-3).
func eligible(segs []storage.SegmentInfo, st *State) []storage.SegmentInfo {
	cut := min(st.HighWatermark, st.LastStable)
	n := 0
	for n < len(segs) && !segs[n].Active && segs[n].Next <= cut {
		n++
	}
	return segs[:n]
}

// firstDirty is where the dirty part begins. A checkpoint outside the log is of another life of it, before a truncation or a trim: then
// everything counts as dirty.
func firstDirty(segs []storage.SegmentInfo, st *State) kafka.Offset {
	if st.FirstDirty < segs[0].Base || st.FirstDirty < st.LogStart || st.FirstDirty > st.HighWatermark {
		return segs[0].Base
	}
	return st.FirstDirty
}

// firstWritten is when a segment's first record came, as far as it is known.
func firstWritten(s *storage.SegmentInfo) time.Time {
	if s.Created.IsZero() {
		return time.UnixMilli(int64(s.MaxTimestamp))
	}
	return s.Created
}
