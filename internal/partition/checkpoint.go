package partition

import (
	"context"
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

// WantsCheckpoint reports whether Checkpoint would save something. It is cheap.
func (p *Partition) WantsCheckpoint() bool { return p.unsaved.Load() >= checkpointBytes }

// Checkpoint saves what is known of producers and leader epochs, if much was appended since the last time. It waits for the disk.
func (p *Partition) Checkpoint(ctx context.Context) error {
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	if p.role.Load().Gone != nil {
		return nil
	}
	return p.checkpointLocked(ctx, checkpointBytes)
}

// checkpointBelowLocked saves what is known unless the last snapshot already covers the log below offset, which is about to go.
func (p *Partition) checkpointBelowLocked(ctx context.Context, offset kafka.Offset) error {
	if _, err := p.load(); err != nil {
		return err
	}
	if p.savedUpto >= offset && !p.stale {
		return nil
	}
	return p.checkpointLocked(ctx, 0)
}

// syncPatience is how long a checkpoint waits for all of the log to become durable.
const syncPatience = time.Second

// checkpointLocked saves if at least so many bytes were appended since the last time. The snapshot describes the log below an offset
// that is durable before it is written, so it is never ahead of a log that a crash has cut. That is the end of the log, unless it does not
// become durable soon: on a full disk it never does, and those who are about to make room come by here. maintenance is held.
func (p *Partition) checkpointLocked(ctx context.Context, atLeast int64) error {
	l := p.log.Load()
	if l == nil || !p.loaded.Load() || l.failed.Load() != nil {
		return nil
	}
	p.mu.Lock()
	end, unsaved := p.end, p.unsaved.Load()
	if unsaved < atLeast || end <= p.savedUpto && !p.stale || end == 0 {
		p.mu.Unlock()
		return nil
	}
	blob := p.producers.encode(end)
	held := p.encodeDelaysLocked(end)
	leaders := *p.epochs.Load()
	p.mu.Unlock()
	soon, cancel := context.WithTimeout(ctx, syncPatience)
	err := l.Sync(soon, end)
	cancel()
	switch {
	case err == nil:
	case ctx.Err() != nil || soon.Err() == nil:
		return fmt.Errorf("save the producers of %s: %w", p.id, err)
	default:
		p.mu.Lock()
		end = l.Bounds().Durable
		blob = p.producers.below(end).encode(end)
		held = p.encodeDelaysLocked(end)
		p.mu.Unlock()
		if end <= p.savedUpto || end == 0 {
			return nil
		}
	}
	if err := p.saveDelays(l, held); err != nil {
		return err
	}
	// Epochs first: a list that knows more than the snapshot is cut to the log when it is read, one that knows less would stay so.
	if latest := leaders.latest(); latest != p.savedEpochs || p.savedUpto == kafka.NoOffset {
		if err := l.Sidecar().Put(epochsBlob, leaders.encode()); err != nil {
			return fmt.Errorf("save the leader epochs of %s: %w", p.id, err)
		}
		p.savedEpochs = latest
	}
	if err := l.Sidecar().Put(producersBlob, blob); err != nil {
		return fmt.Errorf("save the producers of %s: %w", p.id, err)
	}
	if p.savedDelays == delaysSaved && len(held) == delaysHeader {
		p.savedDelays = delaysEmpty
	}
	p.savedUpto, p.stale = end, false
	p.unsaved.Add(-unsaved)
	return nil
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
