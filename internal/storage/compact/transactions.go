package compact

import (
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// transactions follows a log from its beginning and knows which transactions are open at each point.
type transactions struct {
	ahead     []AbortedTransaction // not reached yet, by first offset
	aborted   map[kafka.ProducerID]*doomed
	committed map[kafka.ProducerID]bool // open and to be committed, with data that was met
}

// doomed is an open transaction that will be aborted.
type doomed struct {
	last kafka.Offset // of its marker, which may have vanished: then the transaction ends there all the same
	met  bool         // data of it was met
}

// reach opens the aborted transactions that begin in the batch or before it, and ends those that end before it.
func (t *transactions) reach(h *record.Header) {
	for len(t.ahead) > 0 && t.ahead[0].First <= h.LastOffset() {
		next := t.ahead[0]
		t.ahead = t.ahead[1:]
		if next.Last >= h.BaseOffset {
			t.aborted[next.Producer] = &doomed{last: next.Last}
		}
	}
	if d := t.aborted[h.ProducerID]; d != nil && d.last < h.BaseOffset {
		delete(t.aborted, h.ProducerID)
	}
}

// onData takes the next batch of data and reports whether its records were aborted.
func (t *transactions) onData(h *record.Header) (aborted bool) {
	t.reach(h)
	if !h.IsTransactional() {
		return false
	}
	if d := t.aborted[h.ProducerID]; d != nil {
		d.met = true
		return true
	}
	t.committed[h.ProducerID] = true
	return false
}

// markerState says what is left of the transaction that a control batch ends.
type markerState int

const (
	needed   markerState = iota // data, or it is no marker
	told                        // nothing, but who reads is still told that the transaction was aborted and waits for the marker
	vanished                    // nothing: the marker may follow after its horizon
)

// onControl takes the next control batch and tells what is left of its transaction. One without records was compacted already.
func (t *transactions) onControl(h *record.Header, batch []byte) (markerState, error) {
	t.reach(h)
	if h.Records == 0 {
		return vanished, nil
	}
	for rec, err := range record.Records(batch, 0) {
		if err != nil {
			return needed, err
		}
		kind, err := record.ParseControlKey(rec.Key)
		if err != nil {
			return needed, err
		}
		switch kind {
		case record.AbortMarker:
			d := t.aborted[h.ProducerID]
			delete(t.aborted, h.ProducerID)
			switch {
			case d == nil:
				return vanished, nil
			case !d.met:
				return told, nil
			}
			return needed, nil
		case record.CommitMarker:
			met := t.committed[h.ProducerID]
			delete(t.committed, h.ProducerID)
			if met {
				return needed, nil
			}
			return vanished, nil
		}
		break // there is one record in a control batch
	}
	return needed, nil
}
