package compact

import (
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// filter removes records from the batches of one pass, in order from the log's beginning.
type filter struct {
	*run
	txns *transactions
	upto kafka.Offset // the key map knows every key below; what is at or above stays, unless it was aborted or left the window
	last kafka.Offset // the end of what is compacted: its last batch stays, so that no offset is given twice

	kept []record.Record // scratch
	out  []byte
}

// batch appends to out what stays of the batch, and reports whether that is all of it, unchanged.
func (f *filter) batch(h *record.Header, batch []byte) (unchanged bool, err error) {
	f.result.RecordsRead += int64(h.Records)
	if h.IsControl() {
		return f.control(h, batch)
	}
	f.kept = f.kept[:0]
	tombstone := false
	if aborted := f.txns.onData(h); !aborted {
		for rec, err := range record.Records(batch, f.limits.MaxDecompressed) {
			if err != nil {
				return false, err
			}
			if f.keeps(h, &rec) {
				f.kept = append(f.kept, rec)
				tombstone = tombstone || rec.Value == nil
			}
		}
	}
	stamp := tombstone && f.pol.byKey() && !h.HasDeleteHorizon() && h.NextOffset() <= f.upto
	switch {
	case len(f.kept) == 0 && !f.keepsEmpty(h):
		return false, nil
	case len(f.kept) == int(h.Records) && !stamp:
		f.out = append(f.out, batch...)
		f.result.RecordsKept += int64(len(f.kept))
		return true, nil
	}
	return false, f.rebuild(h, stamp)
}

// control keeps a marker while data of its transaction is there. A marker without is given a horizon, and goes after it.
func (f *filter) control(h *record.Header, batch []byte) (unchanged bool, err error) {
	state, err := f.txns.onControl(h, batch)
	if err != nil {
		return false, err
	}
	if state == told {
		f.result.Vanished = append(f.result.Vanished, h.BaseOffset)
	}
	f.kept = f.kept[:0]
	if state != vanished || h.Records > 0 && !f.expired(h) {
		if state == needed || h.HasDeleteHorizon() {
			f.out = append(f.out, batch...)
			f.result.RecordsKept += int64(h.Records)
			return true, nil
		}
		for rec, err := range record.Records(batch, f.limits.MaxDecompressed) {
			if err != nil {
				return false, err
			}
			f.kept = append(f.kept, rec)
		}
		return false, f.rebuild(h, true)
	}
	if !f.keepsEmpty(h) {
		return false, nil
	}
	if h.Records == 0 {
		f.out = append(f.out, batch...)
		return true, nil
	}
	return false, f.rebuild(h, false)
}

// keeps decides about a record that was not aborted.
func (f *filter) keeps(h *record.Header, rec *record.Record) bool {
	if f.leftWindow(rec) {
		return false
	}
	if !f.pol.byKey() || rec.Offset >= f.upto {
		return true
	}
	if rec.Key == nil || rec.Offset < f.keys.latest(rec.Key) {
		return false
	}
	return rec.Value != nil || !f.expired(h)
}

// expired reports whether the batch's tombstones, or its marker, have stayed long enough.
func (f *filter) expired(h *record.Header) bool {
	return h.HasDeleteHorizon() && h.BaseTimestamp <= f.nowMs
}

// keepsEmpty reports whether a batch that has lost all its records stays as a header: the last of an active producer carries its epoch and
// sequence (CMP-4), and the last of all the offset where the log goes on.
func (f *filter) keepsEmpty(h *record.Header) bool {
	if h.NextOffset() == f.last {
		return true
	}
	if h.ProducerID == kafka.NoProducer || f.st.Producers == nil {
		return false
	}
	last, ok := f.st.Producers.LastRecord(h.ProducerID)
	switch {
	case !ok:
		return false
	case last.Offset == kafka.NoOffset:
		return h.IsControl() && h.ProducerEpoch == last.Epoch
	}
	return h.LastOffset() == last.Offset
}

// rebuild appends the batch with the records in kept. Everything else of it stays (CMP-1).
func (f *filter) rebuild(h *record.Header, stamp bool) (err error) {
	o := record.BatchOptions{
		BaseOffset: h.BaseOffset, LeaderEpoch: h.LeaderEpoch, Codec: h.Codec(), ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch,
		BaseSequence: h.BaseSequence, Transactional: h.IsTransactional(), Control: h.IsControl(), Released: h.IsReleased(), DeleteHorizon: kafka.NoTimestamp,
		LastOffsetDelta: h.LastOffsetDelta,
	}
	if h.IsLogAppendTime() {
		o.TimestampType = record.LogAppendTime
	}
	switch {
	case h.HasDeleteHorizon() && len(f.kept) > 0:
		o.DeleteHorizon = h.BaseTimestamp
	case stamp:
		o.DeleteHorizon = f.nowMs + kafka.Timestamp(f.pol.DeleteRetention.Milliseconds())
	}
	f.out, err = record.Build(f.out, o, f.kept)
	f.result.RecordsKept += int64(len(f.kept))
	f.kept = slices.Delete(f.kept, 0, len(f.kept)) // lets go of the batch's memory
	return err
}
