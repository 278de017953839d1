package partition

import (
	"context"
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Copies gives batches of another replica that is in sync: from the one that contains an offset on, some.
type Copies func(ctx context.Context, from kafka.Offset) (digest.Copy, error)

// Mended is what Mend did.
type Mended struct {
	Found  []storage.Rot // the damage in the segment; none if it is sound
	Bytes  int64         // that were fetched
	Filled int           // stretches that were filled
}

const (
	// mendBytes is how much may be fetched to mend one segment. It is held in memory meanwhile.
	mendBytes = 128 << 20
	// mendHoles is how many damaged stretches of a segment are told apart; what follows counts as one more.
	mendHoles = 1000
)

// Errors of Mend.
var (
	errOtherBytes = errors.New("the other replica holds something else there, or nothing")
	errMendLarge  = fmt.Errorf("more than %d MiB would have to be fetched: move the replica to another broker and back (rafka topic reassign)", mendBytes>>20)
	errMoved      = errors.New("the log has changed meanwhile: try again")
)

// Mend looks through the segment that holds an offset for damage and fills it from another replica. The segment is replaced as a whole by one with
// its own valid batches and the fetched ones, which took no other way than from a leader to both replicas; nothing is deleted before that is on disk,
// no offset leaves the log, and this replica goes on leading or following as it did. A damaged active segment is rolled first.
//
// A batch is taken if it has the checksum that the damaged one had, or if nothing was ever compacted here, its offsets fill the gap exactly, and the batches
// around the gap are the same on both. A log that was compacted gets, if that is not enough, all of the other's up to where this one is compacted: single
// batches of it could bring back keys that were deleted since.
//
// Nothing else waits while another broker is asked. Errors: errUncommitted if the segment is not committed yet: try again; those of copies; KafkaStorageError;
// others say why the damage stays.
func (p *Partition) Mend(ctx context.Context, at kafka.Offset, copies Copies) (Mended, error) {
	l, err := p.use()
	if err != nil {
		return Mended{}, err
	}
	segmented, ok := l.Log.(storage.Segmented)
	if _, files := l.Log.(storage.Inspected); !ok || !files {
		return Mended{}, nil
	}
	w := &mending{p: p, l: l, segmented: segmented, copies: copies}
	if err := w.survey(at); err != nil || len(w.Found) == 0 {
		return w.Mended, err
	}
	if err := w.close(); err != nil {
		return w.Mended, err
	}
	replace := w.fill
	if fetched, err := w.fetchHoles(ctx); err == nil {
		w.fetched = fetched
	} else if !errors.Is(err, errOtherBytes) || p.whole(l) {
		return w.Mended, err
	} else if err := w.fetchCompacted(ctx); err != nil {
		return w.Mended, err
	} else {
		replace = w.pour
	}
	if err := w.replace(replace); err != nil {
		return w.Mended, err
	}
	again := mending{p: p, l: l}
	if err := again.survey(w.base); err == nil && len(again.Found) > 0 {
		err = again.Found[0].Err
		return w.Mended, fmt.Errorf("the segment was replaced and is damaged again: %w", err)
	}
	w.Filled = len(w.Found)
	return w.Mended, nil
}

// mending is the work of one Mend.
type mending struct {
	Mended
	p         *Partition
	l         *openLog
	segmented storage.Segmented
	copies    Copies

	base, next kafka.Offset // of what is replaced
	holes      []hole
	fetched    []byte       // batches, in order
	copied     kafka.Offset // the largest high watermark that another replica told
}

// hole is a damaged stretch with the valid batches on both sides of it, as far as the segment has them.
type hole struct {
	storage.Rot
	before, after *neighbour
}

// neighbour is a batch by its place and checksum. Its leader epoch, which no checksum covers, may be damaged itself.
type neighbour struct {
	base, next kafka.Offset
	crc        uint32
}

func (n *neighbour) is(h *record.Header) bool {
	return n.base == h.BaseOffset && n.next == h.NextOffset() && n.crc == h.CRC
}

// survey finds the segment that holds an offset and all damage in it.
func (w *mending) survey(at kafka.Offset) error {
	first, err := w.p.Inspect(at, 1, func(*record.Header, []byte) error { return nil })
	if err != nil {
		return err
	}
	w.base = first.Base
	var last *neighbour
	open := false // the last hole has nobody behind it yet
	for from := max(w.base, w.p.LogStart()); ; {
		in, err := w.p.Inspect(from, digestStep, func(h *record.Header, _ []byte) error {
			last = &neighbour{h.BaseOffset, h.NextOffset(), h.CRC}
			if open {
				w.holes[len(w.holes)-1].after, open = last, false
			}
			return nil
		})
		if err != nil {
			return err
		}
		if in.Base != w.base {
			return nil // the segment was over when it was left off
		}
		for _, r := range in.Rot {
			if n := len(w.holes); n == mendHoles {
				w.holes[n-1].To, w.holes[n-1].Known = r.To, false
			} else {
				w.holes = append(w.holes, hole{Rot: r, before: last})
				w.Found = append(w.Found, r)
			}
			open = true
		}
		if w.next = in.Next; in.Over {
			return nil
		}
		if from >= in.Next {
			return errMoved
		}
		from = in.Next
	}
}

// close sees to it that the segment is closed, and all of it in its file, and knows where it ends.
func (w *mending) close() error {
	if err := w.roll(); err != nil {
		return err
	}
	_, err := w.p.Inspect(w.base, 1, func(*record.Header, []byte) error { return nil })
	return err
}

func (w *mending) roll() error {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if gone := p.role.Load().Gone; gone != nil {
		return gone
	}
	for _, s := range w.segmented.Segments() {
		if s.Base == w.base && s.Active {
			if err := w.segmented.Roll(); err != nil {
				return p.readFailed(err)
			}
		}
	}
	for _, s := range w.segmented.Segments() {
		if s.Base == w.base {
			w.next = s.Next
			return nil
		}
	}
	return errMoved
}

// replace puts the new content in place of the old. Compaction and cuts wait; nobody else does.
func (w *mending) replace(content func(sink func(record.Batches) error) error) error {
	p := w.p
	p.compacting.Lock()
	defer p.compacting.Unlock()
	if gone := p.role.Load().Gone; gone != nil {
		return gone
	}
	if err := w.segmented.ReplaceSegments(w.base, w.next, content); err != nil {
		return fmt.Errorf("mend [%d, %d) of %s: %w", w.base, w.next, p.id, err)
	}
	p.cleaning.refused = false
	return nil
}

// fill writes the valid batches of the segment and, between them, those that were fetched.
func (w *mending) fill(sink func(record.Batches) error) error {
	rest := w.fetched
	pourBelow := func(below kafka.Offset) error {
		for len(rest) > 0 {
			h, ok := record.ParseHeader(rest)
			if !ok || h.BaseOffset >= below {
				break
			}
			if err := sink(rest[:h.Size()]); err != nil {
				return err
			}
			rest = rest[h.Size():]
		}
		return nil
	}
	for from := max(w.base, w.p.LogStart()); from < w.next; {
		in, err := w.p.Inspect(from, digestStep, func(h *record.Header, batch []byte) error {
			if h.BaseOffset >= w.next || w.within(h) {
				return nil
			}
			if err := w.p.giveWay(); err != nil {
				return err
			}
			if err := pourBelow(h.BaseOffset); err != nil {
				return err
			}
			return sink(batch)
		})
		if err != nil {
			return err
		}
		if in.Next <= from {
			return errMoved
		}
		from = in.Next
	}
	return pourBelow(w.next)
}

// within reports whether a batch lies in a hole: it was valid and out of place, or the hole was made larger.
func (w *mending) within(h *record.Header) bool {
	for i := range w.holes {
		if x := &w.holes[i]; x.From <= h.BaseOffset && h.BaseOffset < x.To {
			return true
		}
	}
	return false
}

// pour writes what was fetched and nothing else.
func (w *mending) pour(sink func(record.Batches) error) error {
	if err := w.p.giveWay(); err != nil {
		return err
	}
	return sink(w.fetched)
}

// giveWay is why work on closed segments ends early: the partition goes, or a follower's log is to be cut.
func (p *Partition) giveWay() error {
	if gone := p.role.Load().Gone; gone != nil {
		return gone
	}
	if p.cuts.Load() > 0 {
		return errCutting
	}
	return nil
}
