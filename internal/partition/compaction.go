package partition

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/compact"
)

// The sidecar blob "compacted" says how far the log is compacted: version 1 byte (1) | first dirty offset 8, big endian.
const (
	compactedBlob    = "compacted"
	compactedVersion = 1
	compactedBytes   = 1 + 8
)

// cleaning is what compaction knows of the log between two runs.
type cleaning struct {
	known      bool // firstDirty was read from the sidecar
	firstDirty kafka.Offset
	refused    bool // a batch was met that is damaged or too large for memory: the log is left alone until it is mended, or the next start
}

// PlanCompaction says what of the log can be compacted and whether it should be now. It is never so for a topic that does not ask for it.
func (p *Partition) PlanCompaction(now time.Time) (compact.Work, bool, error) {
	p.compacting.Lock()
	defer p.compacting.Unlock()
	l, segmented, err := p.compactable()
	if segmented == nil || err != nil {
		return compact.Work{}, false, err
	}
	work, due := compact.Plan(segmented.Segments(), p.compactionState(l), p.settings.Load().Compaction, now)
	return work, due, nil
}

// Compact compacts the log if it should be now, and reports whether it did. It reads and writes much and stops between two batches when
// ctx ends or the partition goes; what was done until then stays done. Appends, reads and trims go on meanwhile.
func (p *Partition) Compact(ctx context.Context, now time.Time) (compact.Result, bool, error) {
	p.compacting.Lock()
	defer p.compacting.Unlock()
	l, segmented, err := p.compactable()
	if segmented == nil || err != nil {
		return compact.Result{}, false, err
	}
	state, policy := p.compactionState(l), p.settings.Load().Compaction
	work, due := compact.Plan(segmented.Segments(), state, policy, now)
	if !due {
		return compact.Result{}, false, nil
	}
	// Repeats of batches that compaction is going to remove are still to be recognized after a restart (PAR-7).
	p.maintenance.Lock()
	err = p.checkpointBelowLocked(ctx, work.To)
	stale := p.stale
	p.maintenance.Unlock()
	if errors.Is(err, errUncommitted) {
		return compact.Result{}, false, nil // another time
	}
	if err != nil || stale {
		return compact.Result{}, false, err
	}
	limits := compact.Limits{
		// What record.Validate lets into a compacted topic; there may be more from a time before the topic was one.
		MaxDecompressed: max(record.MaxCompacted, p.settings.Load().Rules.MaxBatchBytes),
		Pace: func(int) error {
			if gone := p.role.Load().Gone; gone != nil {
				return gone
			}
			if p.cuts.Load() > 0 {
				return errCutting
			}
			return ctx.Err()
		},
	}
	result, err := compact.Run(segmented, work, state, policy, now, limits)
	if errors.Is(err, kafka.CorruptMessage) || errors.Is(err, kafka.InvalidRecord) || errors.Is(err, storage.ErrDamaged) {
		p.cleaning.refused = true
	}
	p.forgetAborted(result.Vanished)
	if result.FirstDirty > state.FirstDirty && p.role.Load().Gone == nil {
		p.cleaning.firstDirty = result.FirstDirty
		err = errors.Join(err, l.Sidecar().Put(compactedBlob, encodeCompacted(result.FirstDirty)))
	}
	if errors.Is(err, errCutting) {
		return result, true, nil
	}
	if err != nil {
		return result, true, fmt.Errorf("compact %s: %w", p.id, err)
	}
	return result, true, nil
}

// compactable returns the log if it may be compacted, with producers and the first dirty offset known. compacting is held.
func (p *Partition) compactable() (*openLog, storage.Segmented, error) {
	if !p.settings.Load().Compact || p.cleaning.refused || p.role.Load().Gone != nil {
		return nil, nil, nil
	}
	l, err := p.load()
	if err != nil {
		return nil, nil, err
	}
	segmented, ok := l.Log.(storage.Segmented)
	if !ok {
		return nil, nil, nil
	}
	p.mu.Lock()
	waiting := p.delays.len() > 0
	p.mu.Unlock()
	if waiting {
		return nil, nil, nil // from a time before the topic was compacted; until they are released
	}
	if err := p.recallCompacted(l); err != nil {
		return nil, nil, err
	}
	return l, segmented, nil
}

// recallCompacted reads how far the log is compacted. compacting is held.
func (p *Partition) recallCompacted(l *openLog) error {
	if p.cleaning.known {
		return nil
	}
	blob, err := l.Sidecar().Get(compactedBlob)
	switch {
	case err == nil && len(blob) == compactedBytes && blob[0] == compactedVersion:
		p.cleaning.firstDirty = kafka.Offset(binary.BigEndian.Uint64(blob[1:]))
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, storage.ErrDamaged):
		// All of it counts as dirty: compacting again what was compacted does no harm.
	default:
		return p.readFailed(err)
	}
	p.cleaning.known = true
	return nil
}

func encodeCompacted(firstDirty kafka.Offset) []byte {
	return binary.BigEndian.AppendUint64([]byte{compactedVersion}, uint64(firstDirty))
}

func (p *Partition) compactionState(l *openLog) compact.State {
	return compact.State{
		LogStart: p.LogStart(), LastStable: p.LastStable(), HighWatermark: p.HighWatermark(), FirstDirty: p.cleaning.firstDirty,
		Producers: activeProducers{p}, Aborted: abortedBetween{p, l},
	}
}

// forgetAborted forgets the aborted transactions of which compaction found nothing but the markers, which are given in order. Before such a
// marker may go a snapshot must have forgotten them too: were one of them remembered after a restart without its marker, it would hide
// what its producer has committed since.
func (p *Partition) forgetAborted(markers []kafka.Offset) {
	if len(markers) == 0 {
		return
	}
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.producers.aborted = p.producers.aborted.without(markers)
	p.publishAbortedLocked()
	p.stale = true
	p.keep(nil)
}

// activeProducers tells compaction what must stay of producers that may still write (CMP-4).
type activeProducers struct{ p *Partition }

// LastRecord implements compact.Producers.
func (a activeProducers) LastRecord(id kafka.ProducerID) (last compact.LastRecord, ok bool) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	known := a.p.producers.byID[id]
	if known == nil {
		return last, false
	}
	last = compact.LastRecord{Offset: kafka.NoOffset, Epoch: known.epoch}
	if known.count > 0 {
		last.Offset = known.batches[known.count-1].next() - 1
	}
	return last, true
}
