package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// piece is one batch with its bytes.
type piece struct {
	record.Header
	bytes []byte
}

// model is a log as a slice of batches: the oracle.
type model struct {
	start, end kafka.Offset
	pieces     []piece // that reach above start, in order
}

func pieces(b record.Batches) (all []piece) {
	for h, batch := range b.All() {
		all = append(all, piece{h, bytes.Clone(batch)})
	}
	return all
}

func (m *model) append(b record.Batches) {
	m.pieces = append(m.pieces, pieces(b)...)
	m.end = m.pieces[len(m.pieces)-1].NextOffset()
}

func (m *model) truncate(end kafka.Offset) {
	if end >= m.end {
		return
	}
	m.pieces = slices.Clip(keepBelow(m.pieces, end))
	m.end = m.start
	if n := len(m.pieces); n > 0 {
		m.end = m.pieces[n-1].NextOffset()
	}
}

// keepBelow is the batches whose offsets are all below end.
func keepBelow(all []piece, end kafka.Offset) []piece {
	i := slices.IndexFunc(all, func(p piece) bool { return p.NextOffset() > end })
	if i < 0 {
		return all
	}
	return all[:i]
}

// reachAbove is the batches that have an offset at or above start.
func reachAbove(all []piece, start kafka.Offset) []piece {
	i := slices.IndexFunc(all, func(p piece) bool { return p.NextOffset() > start })
	if i < 0 {
		return nil
	}
	return all[i:]
}

func (m *model) trim(start kafka.Offset) {
	if start > m.start {
		m.start = start
		m.pieces = slices.Clone(reachAbove(m.pieces, start))
	}
}

// read is the most that a Read may answer.
func (m *model) read(from kafka.Offset, lim storage.ReadLimit) (all []piece, err error) {
	if from < m.start || from > m.end {
		return nil, kafka.OffsetOutOfRange
	}
	size := 0
	for _, p := range reachAbove(m.pieces, from) {
		size += p.Size()
		if lim.Below != kafka.NoOffset && p.BaseOffset >= lim.Below || len(all) > 0 && size > lim.MaxBytes {
			break
		}
		all = append(all, p)
	}
	return all, nil
}

func (m *model) offsetForTime(ts kafka.Timestamp) storage.OffsetTime {
	for _, p := range m.pieces {
		if p.MaxTimestamp >= ts {
			return storage.OffsetTime{Offset: p.BaseOffset, Timestamp: p.MaxTimestamp}
		}
	}
	return storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}
}

func (m *model) maxTimestamp() storage.OffsetTime {
	best := storage.OffsetTime{Offset: kafka.NoOffset, Timestamp: kafka.NoTimestamp}
	for _, p := range m.pieces {
		if p.MaxTimestamp > best.Timestamp {
			best = storage.OffsetTime{Offset: p.BaseOffset, Timestamp: p.MaxTimestamp}
		}
	}
	return best
}

// compareRead runs the Read and says how its answer differs from what the model allows: a prefix of the most, not empty unless the most
// is. It returns the offset to go on at.
func (m *model) compareRead(l storage.Log, from kafka.Offset, lim storage.ReadLimit) (next kafka.Offset, err error) {
	most, want := m.read(from, lim)
	x, err := l.Read(from, lim)
	if want != nil {
		if !errors.Is(err, want) {
			return from, fmt.Errorf("read from %d of a log %d..%d: error %v, want %w", from, m.start, m.end, err, want)
		}
		return from, nil
	}
	if err != nil {
		return from, fmt.Errorf("read from %d with %+v: %w", from, lim, err)
	}
	if x == nil {
		if len(most) > 0 && (lim.Below == kafka.NoOffset || from < lim.Below) { // nothing below is asked for otherwise
			return from, fmt.Errorf("read from %d with %+v: nothing, though batch %d is there", from, lim, most[0].BaseOffset)
		}
		return from, nil
	}
	defer x.Release()
	b, err := extentBytes(x)
	if err != nil {
		return from, err
	}
	got := pieces(b)
	if len(most) > 0 && len(got) == 0 || len(got) > len(most) {
		return from, fmt.Errorf("read from %d with %+v: %d batches, want at least one and at most %d", from, lim, len(got), len(most))
	}
	if err := samePieces(got, most[:len(got)]); err != nil {
		return from, fmt.Errorf("read from %d with %+v: %w", from, lim, err)
	}
	if len(got) > 0 {
		from = got[len(got)-1].NextOffset()
	}
	return from, nil
}

// compare reads the whole log, in portions of about the given size.
func (m *model) compare(l storage.Log, portion int) error {
	if b := l.Bounds(); b.Start != m.start || b.End != m.end || b.Durable < b.Start || b.Durable > b.End {
		return fmt.Errorf("bounds %+v, want start %d, end %d and durable between", b, m.start, m.end)
	}
	for at := m.start; ; {
		next, err := m.compareRead(l, at, storage.ReadLimit{MaxBytes: portion, Below: kafka.NoOffset})
		if err != nil {
			return err
		}
		if next == at {
			break
		}
		at = next
	}
	bytes := int64(0)
	for _, p := range m.pieces {
		bytes += int64(p.Size())
	}
	if l.Size() < bytes {
		return fmt.Errorf("size %d, but %d bytes can be read", l.Size(), bytes)
	}
	return nil
}

func samePieces(got, want []piece) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d batches, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i].bytes, want[i].bytes) {
			return fmt.Errorf("batch %d of the answer is %s, want %s", i, got[i], want[i])
		}
	}
	return nil
}

func (p piece) String() string {
	return fmt.Sprintf("[%d..%d] epoch %d, %d bytes, CRC %08x", p.BaseOffset, p.LastOffset(), p.LeaderEpoch, len(p.bytes), p.CRC)
}

// extentBytes reads an extent both ways, which must agree.
func extentBytes(x storage.Extent) (record.Batches, error) {
	b, err := x.Bytes()
	if err != nil {
		return nil, fmt.Errorf("Extent.Bytes: %w", err)
	}
	b = bytes.Clone(b)
	var w bytes.Buffer
	if n, err := x.WriteTo(&w); err != nil || n != int64(len(b)) {
		return nil, fmt.Errorf("Extent.WriteTo wrote %d bytes of %d: %v", n, len(b), err)
	}
	if !bytes.Equal(w.Bytes(), b) || x.Len() != len(b) {
		return nil, fmt.Errorf("an extent of length %d has %d bytes and writes others", x.Len(), len(b))
	}
	size := 0
	for _, batch := range b.All() {
		size += len(batch)
	}
	if size != len(b) {
		return nil, fmt.Errorf("an extent of %d bytes has whole batches for %d", len(b), size)
	}
	return b, nil
}
