package replica

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/storage"
)

// leastBackoff keeps a cleaner that is told not to wait from looking at every log all the time.
const leastBackoff = 100 * time.Millisecond

// clean compacts logs until Close, one at a time: those that are overdue first, then the dirtiest.
func (m *Manager) clean(ctx context.Context) {
	for m.pause(ctx, max(time.Duration(m.cleanerBackoff.Load()), leastBackoff)) {
		for _, p := range m.dirty() {
			if ctx.Err() != nil {
				return
			}
			m.cleanOne(ctx, p)
		}
	}
}

// dirty lists the partitions that should be compacted, the most urgent first.
func (m *Manager) dirty() []*partition.Partition {
	type candidate struct {
		p       *partition.Partition
		overdue bool
		ratio   float64
	}
	var found []candidate
	for _, p := range m.partitions() {
		if !p.Settings().Compact || !m.MayHaveData(p) {
			continue
		}
		work, due, err := p.PlanCompaction(m.opts.Now())
		if err == nil && due {
			found = append(found, candidate{p, work.Overdue, work.DirtyRatio()})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int {
		if a.overdue != b.overdue {
			if a.overdue {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.ratio, a.ratio)
	})
	order := make([]*partition.Partition, len(found))
	for i := range found {
		order[i] = found[i].p
	}
	return order
}

func (m *Manager) cleanOne(ctx context.Context, p *partition.Partition) {
	result, did, err := p.Compact(ctx, m.opts.Now())
	switch {
	case ctx.Err() != nil || p.Role().Gone != nil:
	case errors.Is(err, kafka.CorruptMessage), errors.Is(err, storage.ErrDamaged):
		m.opts.Logger.Error("a log is damaged and is not compacted any more until it is mended, or the next start", "log", p.ID().String(), "err", err)
	case err != nil:
		m.opts.Logger.Error("compaction", "log", p.ID().String(), "err", err)
	case did:
		m.opts.Logger.Debug("compacted", "log", p.ID().String(), "upto", result.FirstDirty, "read", result.BytesRead, "written", result.BytesWritten)
	}
}
