package compact

import (
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// errFull ends the reading for the key map early.
var errFull = errors.New("the key map is full")

// index notes the latest offset of each key from the given offset to the end of segs, as far as the map has room. It returns the offset
// that it has reached: below it the map knows every key. Aborted records do not count, nor do those that the window removes.
func (r *run) index(segs []storage.SegmentInfo, from kafka.Offset) (kafka.Offset, error) {
	r.keys.reset()
	reached := from
	txns, err := r.transactions(segs)
	if err != nil {
		return reached, err
	}
	for i := range segs {
		if segs[i].Next <= from {
			continue
		}
		err := r.log.ReadSegment(segs[i].Base, func(b record.Batches) error {
			return r.each(b, func(h *record.Header, batch []byte) error {
				if h.IsControl() {
					_, err := txns.onControl(h, batch)
					return err
				}
				if txns.onData(h) || h.NextOffset() <= from {
					return nil
				}
				for rec, err := range record.Records(batch, r.limits.MaxDecompressed) {
					if err != nil {
						return err
					}
					if rec.Key == nil || rec.Offset < from || r.leftWindow(&rec) {
						continue
					}
					if !r.keys.put(rec.Key, rec.Offset) {
						return errFull
					}
					reached = rec.Offset + 1
				}
				reached = max(reached, h.NextOffset())
				return nil
			})
		})
		if err == errFull {
			return reached, nil
		}
		if err != nil {
			return reached, err
		}
		reached = segs[i].Next
	}
	return reached, nil
}
