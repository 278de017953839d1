package coordinator

import (
	"fmt"
	"math"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
)

// A load that failed is tried again after a second, then after twice as long, up to a minute.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// load reads the shard from its log until that has worked, or the shard was unloaded.
func (h *host[S]) load() {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		select {
		case h.rt.loaders <- struct{}{}:
		case <-h.rt.closed:
			return
		}
		err := h.loadOnce()
		<-h.rt.loaders
		if err == nil {
			h.setReady()
			return
		}
		h.rt.opts.Logger.Error("a coordinator cannot be loaded", "topic", h.rt.opts.Topic, "partition", h.partition, "err", err, "again_in", retry)
		if !h.enter(PhaseFailed) {
			return
		}
		select {
		case <-time.After(retry):
		case <-h.rt.closed:
			return
		}
		if !h.enter(PhaseLoading) {
			return
		}
	}
}

// setReady tells who waits for the first load. A load of later days finds it told.
func (h *host[S]) setReady() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.ready:
	default:
		close(h.ready)
	}
}

// enter changes the phase of a shard that was not unloaded.
func (h *host[S]) enter(p Phase) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == PhaseClosed {
		return false
	}
	h.phase = p
	return true
}

// loadOnce makes a shard of the log (COR-3) and lets it serve.
func (h *host[S]) loadOnce() error {
	t0 := h.rt.opts.Now()
	reg := timeline.NewRegistry()
	shard := h.rt.opts.NewShard(reg, h.partition)
	l := loading{shard: shard, skip: func(offset kafka.Offset) {
		h.rt.opts.Logger.Warn("a record of a coordinator's log is of a kind that this release does not know", "topic", h.rt.opts.Topic, "partition", h.partition, "offset", offset)
	}}
	end, err := h.rt.opts.Log.Load(h.partition, h.epoch, l.batch)
	if err != nil {
		return err
	}
	if took := h.rt.opts.Now().Sub(t0); took > time.Second {
		h.rt.opts.Logger.Info("a coordinator was loaded", "topic", h.rt.opts.Topic, "partition", h.partition, "records", l.records, "took", took)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == PhaseClosed {
		return nil
	}
	h.commits.reset()
	h.shard, h.reg, h.end = shard, reg, end
	if h.unwatch, err = h.rt.opts.Log.OnHighWatermark(h.partition, h.watch); err != nil {
		return fmt.Errorf("watch the high watermark: %w", err)
	}
	// Nobody sees that the shard is active before its first operation is over, for mu is held.
	h.phase = PhaseActive
	if _, err = h.do(false, func(s S, op *Op) {
		s.Loaded(op)
		for _, d := range h.late {
			s.Changed(op, d)
		}
	}); err != nil {
		h.leave(PhaseLoading)
		return err
	}
	h.late = nil
	return nil
}

// loading folds batches of a log into a shard.
type loading struct {
	shard   Shard
	records int
	skip    func(kafka.Offset)
}

func (l *loading) batch(b []byte) error {
	h, ok := record.ParseHeader(b)
	if !ok {
		return fmt.Errorf("a batch of %d bytes has no header", len(b))
	}
	p := noProducer
	if h.IsTransactional() {
		p = Producer{h.ProducerID, h.ProducerEpoch}
	}
	for r, err := range record.Records(b, math.MaxInt32) {
		if err == nil {
			l.records++
			err = l.one(&h, p, &r)
		}
		if err != nil {
			return fmt.Errorf("offset %d: %w", r.Offset, err)
		}
	}
	return nil
}

// one folds one record.
func (l *loading) one(h *record.Header, p Producer, r *record.Record) error {
	if h.IsControl() {
		marker, ok, err := record.ParseEndTxnMarker(r)
		if err == nil && ok {
			l.shard.EndTxn(Producer{h.ProducerID, h.ProducerEpoch}, marker.Commit)
		}
		return err
	}
	rec, err := l.shard.Decode(r.Key, r.Value)
	switch {
	case err != nil:
		return err
	case rec == nil:
		l.skip(r.Offset)
	default:
		l.shard.Replay(rec, p)
		if s, ok := l.shard.(Placed); ok {
			s.Placed(rec, r.Offset)
		}
	}
	return nil
}
