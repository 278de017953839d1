package partition

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
)

// TrimTo removes the records below before (DeleteRecords); NoOffset: all that are committed. It returns the log start, once every replica in sync has
// removed them, so that they do not come back with another leader; a leader without a lease may be deposed, and removes nothing. Delayed
// records that were not released yet are not deleted: they are moved to the end of the log first.
//
// Errors: PolicyViolation unless the topic's cleanup.policy has delete, OffsetOutOfRange beyond the high watermark, RequestTimedOut if the in-sync
// replicas do not follow before ctx ends, and those of Read.
func (p *Partition) TrimTo(ctx context.Context, before kafka.Offset) (kafka.Offset, error) {
	t, err := p.Trim(ctx, before)
	if err != nil {
		return kafka.NoOffset, err
	}
	return p.AwaitTrim(ctx, t)
}

// Trim is what a leader has removed, and what AwaitTrim waits for.
type Trim struct {
	epoch  kafka.LeaderEpoch
	before kafka.Offset
}

// Trim is the first half of TrimTo, in which the records are removed here. AwaitTrim is the second, so that many partitions can be waited for at once.
func (p *Partition) Trim(ctx context.Context, before kafka.Offset) (Trim, error) {
	role, err := p.leader(kafka.NoEpoch)
	switch {
	case err != nil:
		return Trim{}, err
	case !p.leased():
		return Trim{}, errNotLeader
	}
	if !p.settings.Load().Delete {
		return Trim{}, kafka.Errorf(kafka.PolicyViolation, "records of %s can only be deleted if its cleanup.policy has delete", p.id)
	}
	l, err := p.use()
	if err != nil {
		return Trim{}, err
	}
	hw := p.HighWatermark()
	if before == kafka.NoOffset {
		before = hw
	}
	if before < 0 || before > hw {
		return Trim{}, kafka.Errorf(kafka.OffsetOutOfRange, "offset %d is not in 0..%d, the high watermark of %s", before, hw, p.id)
	}
	return Trim{role.Epoch, before}, p.trim(ctx, l, before)
}

// trim removes the records below before from this log.
func (p *Partition) trim(ctx context.Context, l *openLog, before kafka.Offset) error {
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	if err := p.moveDelayed(ctx, l, before, p.host.Now()); err != nil {
		return err
	}
	if err := p.trimLocked(ctx, l, before); errors.Is(err, errUncommitted) {
		return err
	} else if err != nil {
		return p.readFailed(err)
	}
	return nil
}

// trimLocked raises the log start. What the log below it says of producers is saved first (PAR-7). maintenance is held.
func (p *Partition) trimLocked(ctx context.Context, l *openLog, before kafka.Offset) error {
	if before <= p.LogStart() {
		return nil
	}
	if err := p.checkpointBelowLocked(ctx, before); err != nil {
		return err
	}
	if err := l.TrimTo(before); err != nil {
		return err
	}
	p.start.Store(int64(before))
	p.mu.Lock()
	if e := p.epochs.Load(); e != nil {
		trimmed := e.trim(before)
		p.epochs.Store(&trimmed)
	}
	if p.producers != nil {
		p.producers.aborted.trim(before)
		p.publishAbortedLocked()
		p.delays.trim(before)
	}
	p.mu.Unlock()
	p.restabilize(nil) // what held it back may be gone
	p.tellNews(false)
	return nil
}
