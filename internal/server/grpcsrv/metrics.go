package grpcsrv

import (
	"context"
	"time"

	rafkapb "github.com/rafka-io/rafka/api/rafka"
	"github.com/rafka-io/rafka/internal/broker"
)

// totalsAge is how old an answer of GetMetrics may be: counting asks every partition.
const totalsAge = 2 * time.Second

// totalsCache lets callers at the same time share one count.
type totalsCache struct {
	counting chan struct{} // room for one: a lock, of what follows, that a caller can stop waiting for
	last     broker.StoredTotals
	at       time.Time
}

// GetMetrics counts what is stored.
func (s *Server) GetMetrics(ctx context.Context, _ *rafkapb.GetMetricsRequest) (*rafkapb.GetMetricsResponse, error) {
	c := &s.totals
	select {
	case c.counting <- struct{}{}:
		defer func() { <-c.counting }()
	case <-ctx.Done():
		return nil, s.fail(ctx.Err())
	}
	now := s.opts.Now()
	if c.at.IsZero() || now.Sub(c.at) > totalsAge || now.Before(c.at) {
		totals, err := broker.CountStored(ctx, s.verbs, session(ctx, ""))
		if err != nil {
			return nil, s.fail(err)
		}
		c.last, c.at = totals, now
	}
	r := &rafkapb.GetMetricsResponse{TotalMessages: c.last.Messages, TotalBytes: c.last.Bytes}
	if !c.last.Oldest.IsZero() {
		r.OldestMessageAgeSecs = uint64(max(now.Sub(c.last.Oldest), 0) / time.Second)
	}
	return r, nil
}
