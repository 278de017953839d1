package replica

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/partition"
	"github.com/rafka-io/rafka/internal/record"
)

const (
	// scrubStep is how much the scrub reads between two pauses.
	scrubStep = 256 << 10
	// scrubDelay is how long after the start it begins at the latest: by then most of what a start has to do is done.
	scrubDelay = time.Minute
)

// scrub reads all logs that are on disk here, so that damage is found before the last good copy of a record is gone, until Close. One pass begins each
// ScrubInterval, or when the one before has ended if that took longer. What it finds is noted for who mends.
func (m *Manager) scrub(ctx context.Context) {
	for wait := min(scrubDelay, m.opts.ScrubInterval); m.pause(ctx, wait); {
		began := m.opts.Now()
		all := m.partitions()
		if len(all) > 0 {
			// A broker that is restarted more often than a pass takes looks at all of them all the same.
			first := rand.IntN(len(all))
			for i := range all {
				m.scrubOne(ctx, all[(first+i)%len(all)])
			}
		}
		if ctx.Err() == nil {
			m.mender.passes.Add(1)
		}
		wait = max(m.opts.ScrubInterval-m.opts.Now().Sub(began), leastBackoff)
	}
}

// scrubOne goes over what a log has now.
func (m *Manager) scrubOne(ctx context.Context, p *partition.Partition) {
	if !m.MayHaveData(p) || p.Failed() != nil {
		return
	}
	end := kafka.NoOffset
	var segment int64
	for from := p.LogStart(); ctx.Err() == nil; {
		in, err := p.Inspect(from, scrubStep, func(*record.Header, []byte) error { return nil })
		if err != nil {
			if p.Role().Gone == nil && ctx.Err() == nil {
				m.opts.Logger.Warn("the scrub cannot read a log", "log", p.ID().String(), "offset", int64(from), "err", err)
			}
			return
		}
		if end < 0 {
			end = p.LogEnd()
		}
		segment += in.Bytes
		if !m.scrubPause(ctx, in.Bytes) {
			return
		}
		if in.Over {
			// This reads the segment once more.
			if good, err := p.CheckIndex(in.Base); err == nil && !good {
				m.opts.Logger.Warn("an index of a segment did not tell the truth and was made anew", "log", p.ID().String(), "segment", int64(in.Base))
			}
			if !m.scrubPause(ctx, segment) {
				return
			}
			segment = 0
		}
		if in.Next <= from || in.Next >= end {
			return
		}
		from = in.Next
	}
}

// scrubPause counts what was read and waits as long as it may take.
func (m *Manager) scrubPause(ctx context.Context, n int64) bool {
	m.mender.scrubbed.Add(n)
	return m.pause(ctx, time.Duration(float64(n)/float64(m.opts.ScrubRate)*float64(time.Second)))
}
