package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
)

// How much of the log may follow the snapshot of producers, in bytes: a restart reads that much at the partition's first use. While
// the broker runs, writing a snapshot (about three fsyncs) costs more than reading what it saves unless there is much of it; at a
// clean stop ten thousand partitions with a little each must not cost ten thousand snapshots.
const (
	checkpointBytes      = 64 << 20
	closeCheckpointBytes = 256 << 10
)

// snapshot is what is known of producers, leader epochs and delays when the log ends at an offset.
type snapshot struct {
	end       kafka.Offset
	producers []byte
	delays    []byte // nil: nothing waits, and nobody has to be told
	leaders   epochs
	unsaved   int64 // bytes that it saves a restart from reading
}

// errUncommitted is why a snapshot is not written yet that somebody asked for.
var errUncommitted = kafka.Errorf(kafka.RequestTimedOut, "the end of the log is not committed yet: try again in a moment")

// WantsCheckpoint reports whether Checkpoint would save something. It is cheap.
func (p *Partition) WantsCheckpoint() bool {
	return p.unsaved.Load() >= checkpointBytes || p.keeps.Load()
}

// Checkpoint saves what is known of producers and leader epochs, if much was appended since the last time. It waits for the disk.
func (p *Partition) Checkpoint(ctx context.Context) error {
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	if p.role.Load().Gone != nil {
		return nil
	}
	err := p.checkpointLocked(ctx, checkpointBytes)
	if errors.Is(err, errUncommitted) {
		return nil // it is kept, and the next call writes it
	}
	return err
}

// checkpointBelowLocked saves what is known unless the last snapshot already covers the log below offset, which is about to go. A leader waits a
// little for followers; a follower cannot, and says errUncommitted.
func (p *Partition) checkpointBelowLocked(ctx context.Context, offset kafka.Offset) error {
	if _, err := p.load(); err != nil {
		return err
	}
	if p.savedUpto >= offset && !p.stale {
		return nil
	}
	if p.kept != nil && p.kept.end < offset {
		p.keep(nil)
	}
	err := p.checkpointLocked(ctx, 0)
	if errors.Is(err, errUncommitted) && p.role.Load().IsLeader && p.awaitCommitted(ctx, p.kept.end) {
		err = p.checkpointLocked(ctx, 0)
	}
	return err
}

// syncPatience is how long a checkpoint waits for all of the log to become durable, and for followers to have it.
const syncPatience = time.Second

// checkpointLocked saves if at least so many bytes were appended since the last time. The snapshot describes the log below an offset
// that is durable and committed before it is written, so it is never ahead of a log that a crash or a new leader has cut. That is the end of the log,
// unless it does not become durable soon: on a full disk it never does, and those who are about to make room come by here. If it is not yet
// committed the snapshot is kept for the next call: errUncommitted. maintenance is held.
func (p *Partition) checkpointLocked(ctx context.Context, atLeast int64) error {
	l := p.log.Load()
	if l == nil || !p.loaded.Load() || l.failed.Load() != nil {
		return nil
	}
	s := p.kept
	if s == nil {
		var err error
		if s, err = p.takeSnapshot(ctx, l, atLeast); s == nil || err != nil {
			return err
		}
	}
	if s.end > p.HighWatermark() && p.waitsForOthers() {
		p.keep(s)
		return errUncommitted
	}
	p.keep(nil)
	return p.save(l, s)
}

// takeSnapshot takes a snapshot of a log that is durable up to there; nil: there is nothing to save.
func (p *Partition) takeSnapshot(ctx context.Context, l *openLog, atLeast int64) (*snapshot, error) {
	p.mu.Lock()
	s := &snapshot{end: p.end, unsaved: p.unsaved.Load()}
	if s.unsaved < atLeast || s.end <= p.savedUpto && !p.stale || s.end == 0 || s.end > l.Bounds().End {
		p.mu.Unlock()
		return nil, nil
	}
	s.producers = p.producers.encode(s.end)
	s.delays = p.encodeDelaysLocked(s.end)
	s.leaders = *p.epochs.Load()
	p.mu.Unlock()
	soon, cancel := context.WithTimeout(ctx, syncPatience)
	err := l.Sync(soon, s.end)
	cancel()
	switch {
	case err == nil:
		return s, nil
	case ctx.Err() != nil || soon.Err() == nil:
		return nil, fmt.Errorf("save the producers of %s: %w", p.id, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.end = l.Bounds().Durable
	if p.waitsForOthers() {
		s.end = p.firm()
	}
	s.producers = p.producers.below(s.end).encode(s.end)
	s.delays = p.encodeDelaysLocked(s.end)
	if s.end <= p.savedUpto || s.end == 0 {
		return nil, nil
	}
	return s, nil
}

// keep keeps a snapshot until it is committed; nil: none. maintenance is held.
func (p *Partition) keep(s *snapshot) {
	p.kept = s
	p.keeps.Store(s != nil)
}

// save writes a snapshot to the sidecar. maintenance is held.
func (p *Partition) save(l *openLog, s *snapshot) error {
	if err := p.saveDelays(l, s.delays); err != nil {
		return err
	}
	// Epochs first: a list that knows more than the snapshot is cut to the log when it is read, one that knows less would stay so.
	if latest := s.leaders.latest(); latest != p.savedEpochs || p.savedUpto == kafka.NoOffset {
		if err := l.Sidecar().Put(epochsBlob, s.leaders.encode()); err != nil {
			return fmt.Errorf("save the leader epochs of %s: %w", p.id, err)
		}
		p.savedEpochs = latest
	}
	if err := l.Sidecar().Put(producersBlob, s.producers); err != nil {
		return fmt.Errorf("save the producers of %s: %w", p.id, err)
	}
	if p.savedDelays == delaysSaved && len(s.delays) == delaysHeader {
		p.savedDelays = delaysEmpty
	}
	p.savedUpto, p.stale = s.end, false
	p.unsaved.Add(-s.unsaved)
	return nil
}

// awaitCommitted waits a little until the log is committed up to an offset, and reports whether it is. Replicas are waited for, so no lock may be
// held but those for I/O.
func (p *Partition) awaitCommitted(ctx context.Context, upto kafka.Offset) bool {
	ctx, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	done := make(chan struct{}, 1)
	stop := p.OnHighWatermark(func(hw kafka.Offset) {
		if hw >= upto || hw == kafka.NoOffset {
			select {
			case done <- struct{}{}:
			default:
			}
		}
	})
	defer stop()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return p.HighWatermark() >= upto
}

// ExpireProducers forgets producers that were silent for longer than producer.id.expiration.ms.
func (p *Partition) ExpireProducers(now kafka.Timestamp) int {
	if !p.loaded.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.producers.expire(now - kafka.Timestamp(p.settings.Load().ProducerExpiry.Milliseconds()))
}
