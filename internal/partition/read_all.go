package partition

import (
	"context"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// readAllChunk is how many bytes ReadAll asks the log for at a time.
const readAllChunk = 1 << 20

// ReadAll gives a coordinator of this node every batch up to the log end, in order, once that is durable here; the batches are borrowed. It returns
// the log end, up to which the caller waits until all is committed (OnHighWatermark). The caller leads the partition in the given epoch and is the only one to append.
//
// Errors: NotLeaderOrFollower, FencedLeaderEpoch, KafkaStorageError, CorruptMessage, fn's.
func (p *Partition) ReadAll(ctx context.Context, epoch kafka.LeaderEpoch, fn func(batch record.Batches) error) (end kafka.Offset, err error) {
	if _, err := p.leader(epoch); err != nil {
		return kafka.NoOffset, err
	}
	l, err := p.load()
	if err != nil {
		return kafka.NoOffset, err
	}
	b := p.bounds(l)
	if err := l.Sync(ctx, l.Bounds().End); err != nil {
		return kafka.NoOffset, offline(p.id, err)
	}
	for at := b.Start; at < b.End; {
		next, err := p.readChunk(l, at, b.End, fn)
		if err != nil {
			return kafka.NoOffset, err
		}
		at = next
	}
	return b.End, nil
}

// readChunk gives fn the batches of one read from at on, and returns where to go on.
func (p *Partition) readChunk(l *openLog, at, end kafka.Offset, fn func(record.Batches) error) (next kafka.Offset, err error) {
	x, err := l.Read(at, storage.ReadLimit{MaxBytes: readAllChunk, Below: end})
	if err != nil {
		return at, p.readFailed(err)
	}
	if x == nil {
		return end, nil // what was there has been compacted away
	}
	defer x.Release()
	batches, err := x.Bytes()
	if err != nil {
		return at, p.readFailed(err)
	}
	for h, batch := range batches.All() {
		if err := fn(batch); err != nil {
			return at, err
		}
		next = h.NextOffset()
	}
	if next <= at {
		return at, kafka.Errorf(kafka.CorruptMessage, "%s has no whole batch at offset %d", p.id, at)
	}
	return next, nil
}
