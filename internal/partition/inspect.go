package partition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rafka-io/rafka/internal/digest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// Inspect goes over the batches of the log from an offset on, as its files have them; see storage.Inspected. An engine that has no files is read as it is. In
// a log that was never compacted it is damage, too, if offsets are missing between two batches. Any role may be inspected, and nobody waits for it.
//
// Errors: KafkaStorageError, each's, the role's if the partition is gone.
func (p *Partition) Inspect(from kafka.Offset, most int, each func(h *record.Header, batch []byte) error) (storage.Inspection, error) {
	l, err := p.use()
	if err != nil {
		return storage.Inspection{}, err
	}
	files, ok := l.Log.(storage.Inspected)
	if !ok {
		return p.inspectMemory(l, from, each)
	}
	start := p.LogStart()
	next := max(from, start)
	whole := p.whole(l)
	var gap *storage.Rot
	var stopped error
	in, err := files.Inspect(from, most, func(h *record.Header, batch []byte) error {
		if whole && gap == nil && next > start && h.BaseOffset > next {
			gap = missing(next, h.BaseOffset)
			return errGap
		}
		next = h.NextOffset()
		stopped = each(h, batch)
		return stopped
	})
	if stopped != nil {
		return in, stopped
	}
	if gap == nil && err == nil && whole && in.Over && len(in.Rot) == 0 && next > start && next < in.Next {
		gap = missing(next, in.Next) // the file is cut
	}
	if gap != nil {
		in.Rot, in.Next, err = []storage.Rot{*gap}, gap.To, nil
		if p.host.OnRot != nil {
			p.host.OnRot(p, gap.From, gap.Err)
		}
	}
	if err != nil {
		return in, p.readFailed(err)
	}
	return in, nil
}

var errGap = fmt.Errorf("offsets are missing: %w", storage.ErrDamaged)

func missing(from, to kafka.Offset) *storage.Rot {
	return &storage.Rot{From: from, To: to, Err: fmt.Errorf("no batch has the offsets %d to %d: %w", from, to-1, storage.ErrDamaged)}
}

// inspectMemory is Inspect for engines without files.
func (p *Partition) inspectMemory(l *openLog, from kafka.Offset, each func(h *record.Header, batch []byte) error) (in storage.Inspection, err error) {
	from = max(from, p.LogStart())
	x, err := l.Read(from, storage.ReadLimit{MaxBytes: scanBytes, Below: kafka.NoOffset})
	if err != nil {
		return in, p.readFailed(err)
	}
	if x == nil {
		in.Next, in.Over = max(from, l.Bounds().End), true
		return in, nil
	}
	defer x.Release()
	b, err := x.Bytes()
	if err != nil {
		return in, p.readFailed(err)
	}
	in.Next, in.Bytes = from, int64(len(b))
	for h, batch := range b.All() {
		if err := each(&h, batch); err != nil {
			return in, err
		}
		in.Next = h.NextOffset()
	}
	in.Over = in.Next >= l.Bounds().End
	return in, nil
}

// CheckIndex verifies the index of the segment that begins at base, and makes it anew if it lies. Engines without files have none.
func (p *Partition) CheckIndex(base kafka.Offset) (good bool, err error) {
	l, err := p.use()
	if err != nil {
		return false, err
	}
	if files, ok := l.Log.(storage.Inspected); ok {
		if good, err = files.CheckIndex(base); err != nil {
			return false, p.readFailed(err)
		}
		return good, nil
	}
	return true, nil
}

// compactedUpto is the offset up to which the log may have been compacted, 0 if it never was. It takes no lock.
func (p *Partition) compactedUpto(l *openLog) kafka.Offset {
	blob, err := l.Sidecar().Get(compactedBlob)
	if err == nil && len(blob) == compactedBytes && blob[0] == compactedVersion {
		return kafka.Offset(binary.BigEndian.Uint64(blob[1:]))
	}
	return 0
}

// whole reports whether every offset of the log is in one of its batches: nothing was ever compacted.
func (p *Partition) whole(l *openLog) bool {
	return !p.settings.Load().Compact && p.compactedUpto(l) == 0
}

const (
	// digestStep is how much is read between two looks at whether the digest is long enough.
	digestStep = 1 << 20
	// digestBytes is about how much is read for one digest.
	digestBytes = 16 << 20
)

// Digest tells what this replica holds in [from, below), as far as one answer goes; NoOffset: up to the high watermark. Errors as of Inspect.
func (p *Partition) Digest(from, below kafka.Offset, thorough bool) (*digest.Digest, error) {
	l, err := p.use()
	if err != nil {
		return nil, err
	}
	b := p.bounds(l)
	d := &digest.Digest{Start: b.Start, End: b.End, HighWatermark: p.HighWatermark(), Compacted: p.compactedUpto(l), From: from}
	if below < 0 {
		below = d.HighWatermark
	}
	below = min(below, b.End)
	for d.Next = max(from, b.Start); d.Next < below && d.Bytes < digestBytes && len(d.Damage) < digest.MaxDamage; {
		full := false
		in, err := p.Inspect(d.Next, digestStep, func(h *record.Header, batch []byte) error {
			switch {
			case h.BaseOffset >= below:
				d.Next = below
				return errEnough
			case len(d.Entries) == digest.MaxEntries:
				full = true
				return errEnough
			case h.NextOffset() > d.Next:
				d.Entries = append(d.Entries, digest.Of(h, batch, thorough))
				d.Next = h.NextOffset()
			}
			return nil
		})
		d.Bytes += in.Bytes
		switch {
		case full, errors.Is(err, errEnough):
			d.Next = min(d.Next, below)
			return d, nil
		case err != nil:
			return nil, err
		}
		for _, r := range in.Rot {
			if r.From < below {
				d.Damage = append(d.Damage, digest.Damage{From: max(r.From, from), To: r.To, Where: r.Err.Error()})
			}
		}
		if in.Next <= d.Next && !in.Over && len(in.Rot) == 0 {
			return nil, kafka.Errorf(kafka.KafkaStorageError, "%s cannot be gone over from offset %d", p.id, d.Next)
		}
		d.Next = max(d.Next, in.Next)
	}
	d.Next = min(d.Next, max(below, from))
	return d, nil
}

// Copy reads batches for a replica that has lost its own: from the one that contains from on, up to the log end, some most bytes. Errors as of Inspect, and
// OffsetOutOfRange.
func (p *Partition) Copy(from kafka.Offset, most int) (c digest.Copy, err error) {
	l, err := p.use()
	if err != nil {
		return c, err
	}
	b := p.bounds(l)
	c = digest.Copy{Start: b.Start, End: b.End, HighWatermark: p.HighWatermark()}
	if from < b.Start || from >= b.End {
		return c, p.outOfRange(from, l)
	}
	x, err := l.Read(from, storage.ReadLimit{MaxBytes: most, Below: kafka.NoOffset})
	if err != nil {
		return c, p.readFailed(err)
	}
	if x == nil {
		return c, nil
	}
	defer x.Release()
	batches, err := x.Bytes()
	if err != nil {
		return c, p.readFailed(err)
	}
	c.Batches = append([]byte(nil), batches...)
	return c, nil
}

// LogEnd is the offset after the last record here, committed or not; 0 while the log has not been used.
func (p *Partition) LogEnd() kafka.Offset {
	if l := p.log.Load(); l != nil {
		return p.bounds(l).End
	}
	return 0
}
