package replica

import (
	"context"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
)

// retentionStep is how many partitions are looked at between two pauses, so that ten thousand of them are spread over the interval
// and still wake an idle node seldom.
const retentionStep = 64

// retain looks at every partition once in an interval, until Close.
func (m *Manager) retain(ctx context.Context) {
	for {
		partitions := m.partitions()
		pause := m.opts.RetentionInterval / time.Duration(len(partitions)/retentionStep+1)
		if !m.pause(ctx, pause) {
			return
		}
		for i, p := range partitions {
			m.retainOne(ctx, p)
			if (i+1)%retentionStep == 0 && !m.pause(ctx, pause) {
				return
			}
		}
	}
}

func (m *Manager) retainOne(ctx context.Context, p *partition.Partition) {
	if !m.MayHaveData(p) || p.Failed() != nil {
		return
	}
	now := m.opts.Now()
	p.ExpireProducers(kafka.Timestamp(now.UnixMilli()))
	if err := p.Retain(ctx, now); err != nil && ctx.Err() == nil {
		m.opts.Logger.Error("retention", "log", p.ID().String(), "err", err)
	}
}

// MayHaveData is false for a partition that need not be opened to know that its log is empty.
func (m *Manager) MayHaveData(p *partition.Partition) bool {
	_, stored := m.stored[p.ID()]
	return stored || p.InUse()
}

// checkpoint saves producers where much was appended, until Close.
func (m *Manager) checkpoint(ctx context.Context) {
	for m.pause(ctx, m.opts.CheckpointInterval) {
		for t := range m.table.Load().all() {
			for p := range t.Partitions() {
				if !p.WantsCheckpoint() {
					continue
				}
				if err := p.Checkpoint(ctx); err != nil && ctx.Err() == nil {
					m.opts.Logger.Error("snapshot of producers", "log", p.ID().String(), "err", err)
				}
			}
		}
	}
}

func (m *Manager) partitions() []*partition.Partition {
	var all []*partition.Partition
	for t := range m.table.Load().all() {
		for p := range t.Partitions() {
			all = append(all, p)
		}
	}
	return all
}

// pause waits, and reports false when ctx ends because the manager closes.
func (m *Manager) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
