package coordinator

import (
	"context"
	"fmt"
	"log/slog"
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

// patience is how long a log may stay uncommitted before that is worth a line in the broker's log.
const patience = 10 * time.Second

// errLost ends a load whose partition went to another leader or epoch meanwhile, or whose log failed.
var errLost = kafka.Errorf(kafka.NotLeaderOrFollower, "the partition is led elsewhere by now, or its log cannot be used")

// load reads the shard from its log until that has worked, or the shard was unloaded.
func (h *host[S]) load() {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		err := h.loadOnce()
		if err == nil {
			h.setReady()
			return
		}
		if !h.enter(PhaseFailed) {
			return
		}
		level := slog.LevelError
		switch kafka.CodeOf(err) {
		case kafka.NotLeaderOrFollower, kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, kafka.UnknownTopicOrPartition:
			level = slog.LevelDebug // the next image says so too, and unloads the shard
		}
		h.rt.opts.Logger.Log(context.Background(), level, "a coordinator cannot be loaded", "topic", h.rt.opts.Topic, "partition", h.partition, "err", err, "again_in", retry)
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

// read is a shard that was made of the log (COR-3) and serves nobody yet.
type read[S Shard] struct {
	shard   S
	reg     *timeline.Registry
	end     kafka.Offset
	records int
}

// loadOnce makes a shard of the log and lets it serve once all of that is committed. nil also when the shard was unloaded meanwhile.
func (h *host[S]) loadOnce() error {
	t0 := h.rt.opts.Now()
	gone, err := h.beginLoad()
	if gone == nil {
		return nil
	}
	var r read[S]
	if err == nil {
		r, err = h.readLog()
	}
	if err == nil {
		err = h.awaitCommit(r.end, gone)
	}
	if err == nil {
		err = h.activate(r)
	}
	if err != nil {
		h.endLoad()
		return err
	}
	if took := h.rt.opts.Now().Sub(t0); took > time.Second {
		h.rt.opts.Logger.Info("a coordinator was loaded", "topic", h.rt.opts.Topic, "partition", h.partition, "records", r.records, "took", took)
	}
	return nil
}

// beginLoad begins to watch the high watermark, before the log is looked at: so the loss of the partition cannot be missed. gone is closed when
// the load is in vain; nil if it need not begin. After an error it is to be ended (endLoad).
func (h *host[S]) beginLoad() (gone <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == PhaseClosed {
		return nil, nil
	}
	h.commits.reset()
	return h.gone, h.watchLocked()
}

// endLoad gives up watching for a load that has failed.
func (h *host[S]) endLoad() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == PhaseLoading {
		h.leave(PhaseLoading)
	}
}

// watchLocked watches the high watermark, and is told that of now.
func (h *host[S]) watchLocked() error {
	before := h.unwatch
	stop, err := h.rt.opts.Log.OnHighWatermark(h.partition, h.watch)
	if err != nil {
		return fmt.Errorf("watch the high watermark: %w", err)
	}
	if h.unwatch = stop; before != nil {
		before()
	}
	return nil
}

// readLog reads the log when it is this shard's turn.
func (h *host[S]) readLog() (r read[S], err error) {
	select {
	case h.rt.loaders <- struct{}{}:
	case <-h.rt.closed:
		return r, errLost
	}
	defer func() { <-h.rt.loaders }()
	r.reg = timeline.NewRegistry()
	r.shard = h.rt.opts.NewShard(r.reg, h.partition)
	l := loading{shard: r.shard, skip: func(offset kafka.Offset) {
		h.rt.opts.Logger.Warn("a record of a coordinator's log is of a kind that this release does not know", "topic", h.rt.opts.Topic, "partition", h.partition, "offset", offset)
	}}
	r.end, err = h.rt.opts.Log.Load(h.partition, h.epoch, l.batch)
	r.records = l.records
	return r, err
}

// awaitCommit waits until the log is committed up to end. What a new leader finds behind the high watermark that it knows was committed by the
// last one or was not; nobody may see the one as missing nor the other as done (COR-2). Loads of others go on meanwhile.
func (h *host[S]) awaitCommit(end kafka.Offset, gone <-chan struct{}) error {
	h.mu.Lock()
	if h.phase == PhaseClosed || h.commits.isStopped() {
		h.mu.Unlock()
		return errLost
	}
	err := h.watchLocked() // a log that was opened by being read has a high watermark from now on
	h.mu.Unlock()
	if err != nil {
		return err
	}
	committed := h.commits.add(end, 0, nil, nil, true)
	if committed == nil {
		return nil
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case <-committed:
			return nil
		case <-gone:
			return errLost
		case <-h.rt.closed:
			return errLost
		case <-late.C:
			h.rt.opts.Logger.Warn("a coordinator waits for its log to be replicated; until then it serves nobody", "topic", h.rt.opts.Topic, "partition", h.partition, "log_end", end)
		}
	}
}

// activate lets a shard serve.
func (h *host[S]) activate(r read[S]) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == PhaseClosed {
		return nil
	}
	if h.commits.isStopped() {
		return errLost
	}
	h.shard, h.reg, h.end = r.shard, r.reg, r.end
	// Nobody sees that the shard is active before its first operation is over, for mu is held.
	h.phase = PhaseActive
	if _, err := h.do(false, func(s S, op *Op) {
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
