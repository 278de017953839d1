package partition

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
)

// TrimTo removes the records below before (DeleteRecords); NoOffset: all that are committed. It returns the log start. Delayed
// records that were not released yet are not deleted: they are moved to the end of the log first.
//
// Errors: PolicyViolation unless the topic's cleanup.policy has delete, OffsetOutOfRange beyond the high watermark, RequestTimedOut if the in-sync
// replicas do not follow, and those of Read.
func (p *Partition) TrimTo(ctx context.Context, before kafka.Offset) (kafka.Offset, error) {
	if _, err := p.leader(kafka.NoEpoch); err != nil {
		return kafka.NoOffset, err
	}
	if !p.settings.Load().Delete {
		return kafka.NoOffset, kafka.Errorf(kafka.PolicyViolation, "records of %s can only be deleted if its cleanup.policy has delete", p.id)
	}
	l, err := p.use()
	if err != nil {
		return kafka.NoOffset, err
	}
	hw := p.HighWatermark()
	if before == kafka.NoOffset {
		before = hw
	}
	if before < 0 || before > hw {
		return kafka.NoOffset, kafka.Errorf(kafka.OffsetOutOfRange, "offset %d is not in 0..%d, the high watermark of %s", before, hw, p.id)
	}
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	if err := p.moveDelayed(ctx, l, before, p.host.Now()); err != nil {
		return kafka.NoOffset, err
	}
	if err := p.trimLocked(ctx, l, before); errors.Is(err, errUncommitted) {
		return kafka.NoOffset, err
	} else if err != nil {
		return kafka.NoOffset, p.readFailed(err)
	}
	return p.LogStart(), nil
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
