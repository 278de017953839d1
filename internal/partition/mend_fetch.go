package partition

import (
	"context"
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// fetchHoles fetches what fills the holes.
func (w *mending) fetchHoles(ctx context.Context) (all []byte, err error) {
	whole := w.p.whole(w.l)
	for i := range w.holes {
		x := &w.holes[i]
		x.To = min(x.To, w.next)
		if x.From = max(x.From, w.p.LogStart()); x.From >= x.To {
			continue // nobody reads below the log start
		}
		from, to := x.From, x.To
		if x.before != nil && whole {
			from = x.before.base
		}
		if x.after != nil && whole {
			to = x.after.next
		}
		// An after that is missing was rot itself, or the segment's end.
		checked := neighbours{hole: x, expect: x.From, whole: whole}
		err := w.fetch(ctx, from, to, func(h *record.Header, batch []byte) error {
			take, err := checked.look(h)
			if take {
				all = append(all, batch...)
			}
			return err
		})
		if err == nil {
			err = checked.end(w.p.LogStart())
		}
		if err != nil {
			return nil, fmt.Errorf("offsets %d to %d of %s: %w", x.From, x.To-1, w.p.id, err)
		}
	}
	return all, w.committed()
}

// neighbours sees whether fetched batches are what a hole has lost.
type neighbours struct {
	*hole
	whole  bool
	expect kafka.Offset
	same   bool // the one damaged batch was recognized by its checksum
	sides  int  // neighbours that were met
}

func (n *neighbours) look(h *record.Header) (take bool, err error) {
	switch {
	case h.NextOffset() <= n.From:
		if n.before != nil && n.before.base == h.BaseOffset {
			if !n.before.is(h) {
				return false, errOtherBytes
			}
			n.sides++
		}
		return false, nil
	case h.BaseOffset >= n.To:
		if n.after != nil && n.after.base == h.BaseOffset {
			if !n.after.is(h) {
				return false, errOtherBytes
			}
			n.sides++
		}
		return false, nil
	}
	n.same = n.Known && h.BaseOffset == n.From && h.NextOffset() == n.To && h.CRC == n.Sum
	if !n.same && !n.whole || h.BaseOffset > n.expect || h.NextOffset() > n.To {
		return false, errOtherBytes
	}
	n.expect = h.NextOffset()
	return true, nil
}

func (n *neighbours) end(start kafka.Offset) error {
	wanted := 0
	for _, x := range []*neighbour{n.before, n.after} {
		if x != nil && x.next > start {
			wanted++
		}
	}
	if n.expect != n.To || !n.same && n.sides < wanted {
		return errOtherBytes
	}
	return nil
}

// fetch gives each batch of another replica that reaches into [from, to), verified.
func (w *mending) fetch(ctx context.Context, from, to kafka.Offset, each func(h *record.Header, batch []byte) error) error {
	for from < to {
		c, err := w.copies(ctx, from)
		if err != nil {
			return err
		}
		w.copied = max(w.copied, min(c.HighWatermark, c.End))
		if w.Bytes += int64(len(c.Batches)); w.Bytes > mendBytes {
			return errMendLarge
		}
		before := from
		for rest := c.Batches; len(rest) > 0; {
			h, err := record.Check(rest)
			if err != nil {
				return err
			}
			if h.BaseOffset >= to {
				return nil
			}
			if h.NextOffset() > from {
				if err := each(&h, rest[:h.Size()]); err != nil {
					return err
				}
				from = h.NextOffset()
			}
			rest = rest[h.Size():]
		}
		if from == before {
			return nil // there is nothing more
		}
	}
	return nil
}

// committed is errUncommitted unless all that is replaced is committed.
func (w *mending) committed() error {
	if w.next > max(w.p.HighWatermark(), w.copied) {
		return errUncommitted
	}
	return nil
}

// fetchCompacted fetches all there is from the first segment up to the end of the one in which this log is not compacted any more, and of the damaged one.
func (w *mending) fetchCompacted(ctx context.Context) error {
	segments := w.segmented.Segments()
	upto := max(w.next, w.p.compactedUpto(w.l))
	for _, s := range segments {
		if !s.Active && s.Base < upto {
			w.next = s.Next
		}
	}
	if w.base = segments[0].Base; w.next < upto {
		return errUncommitted // the rest is in the active segment; it is rolled before long
	}
	w.fetched, w.Bytes = nil, 0
	err := w.fetch(ctx, max(w.base, w.p.LogStart()), w.next, func(h *record.Header, batch []byte) error {
		if h.BaseOffset < w.base || h.NextOffset() > w.next {
			return errOtherBytes
		}
		w.fetched = append(w.fetched, batch...)
		return nil
	})
	if err == nil && len(w.fetched) == 0 {
		err = errOtherBytes
	}
	return errors.Join(err, w.committed())
}
