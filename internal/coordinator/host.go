package coordinator

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Phase is where a shard is in its life (COR-4): Loading → Active | Failed; Failed → Loading; all → Closed.
type Phase int8

const (
	PhaseNone    Phase = iota // not on this node
	PhaseLoading              // its log is being read, or is read and not all committed yet
	PhaseActive               // it serves
	PhaseFailed               // its log could not be read; tried again
	PhaseClosed               // this node leads the partition no more
)

// String is the phase's name.
func (p Phase) String() string {
	return [...]string{"none", "loading", "active", "failed", "closed"}[p]
}

// host is one shard with what runs it. Who holds mu runs an operation.
type host[S Shard] struct {
	rt        *Runtime[S]
	partition int32
	topic     kafka.UUID
	epoch     kafka.LeaderEpoch
	ready     chan struct{} // closed when the shard has been loaded for the first time

	mu      sync.Mutex // COR-1. Held for memory work and for Log.Append
	phase   Phase
	gone    chan struct{} // closed when what is kept in the shard will not be answered: it was unloaded, or is loaded again
	unwatch func()        // ends the high watermark's calls; nil unless Active, or Loading and about to be
	shard   S
	reg     *timeline.Registry
	end     kafka.Offset   // of the log, as far as this shard has written and read it
	seq     timeline.Epoch // operations so far: the state of now
	notes   ring
	late    []*metadata.Delta // what changed while the shard was not active

	commits commits
}

func newHost[S Shard](r *Runtime[S], partition int32, topic kafka.UUID, epoch kafka.LeaderEpoch) *host[S] {
	h := &host[S]{rt: r, partition: partition, topic: topic, epoch: epoch, ready: make(chan struct{}), gone: make(chan struct{}), phase: PhaseLoading}
	h.commits.effects, h.commits.partition = &r.effects, partition
	return h
}

func (h *host[S]) phaseNow() Phase {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.phase
}

// serves is the error that answers requests unless the shard is active. mu is held.
func (h *host[S]) serves() error {
	switch h.phase {
	case PhaseActive:
		return nil
	case PhaseLoading:
		return errLoading
	case PhaseFailed:
		return errFailed
	}
	return errElsewhere
}

// ticket is what an operation leaves for who asked for it.
type ticket struct {
	committed <-chan struct{} // told when everything that the operation may have seen is committed (COR-2); nil: it is, or nobody asked
	gone      <-chan struct{} // closed when what is kept in the shard will not be answered any more
}

// run is one operation: fn decides, its records are appended, and what else it wants happens. waits: somebody waits for its commit.
func (h *host[S]) run(waits bool, fn func(s S, op *Op)) (ticket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, err := h.do(waits, fn)
	if errors.Is(err, errDiverged) {
		h.reload()
	}
	return t, err
}

// do is run with mu held. On errDiverged the shard cannot go on; the caller sees to that.
func (h *host[S]) do(waits bool, fn func(s S, op *Op)) (ticket, error) {
	op, err := h.begin()
	if err != nil {
		return ticket{}, err
	}
	if err := h.decide(op, fn); err != nil {
		h.fail(op, 0, err)
		return ticket{}, err
	}
	if written, err := h.append(op); err != nil {
		h.fail(op, written, err)
		return ticket{}, err
	}
	return ticket{h.take(op, waits), h.gone}, nil
}

// decide lets the shard decide. A panic in there is a bug that a request has met: it is reported, and the state goes back to what it was.
func (h *host[S]) decide(op *Op, fn func(s S, op *Op)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			h.rt.opts.Logger.Error("a coordinator met a bug: please report it", "topic", h.rt.opts.Topic, "partition", h.partition, "panic", p, "stack", string(debug.Stack()))
			err = kafka.Errorf(kafka.UnknownServerError, "the coordinator met a bug, the broker's log has it: %v", p)
		}
	}()
	fn(h.shard, op)
	return nil
}

// reload makes a new shard from the log. mu is held, and the shard is Active: no other load is under way.
func (h *host[S]) reload() {
	h.leave(PhaseLoading)
	h.rt.start(h.load)
}

// watch is told each new high watermark, and NoOffset when there will be none for what this shard has written: the partition is led elsewhere, or
// in a later epoch, or its log has failed. From that call on no watermark counts, for it may be that of another leader's records (COR-2).
func (h *host[S]) watch(hw kafka.Offset) {
	if hw != kafka.NoOffset {
		h.commits.moved(hw)
		return
	}
	h.commits.stop()
	h.rt.start(func() {
		h.mu.Lock()
		lost := h.phase == PhaseActive
		if lost || h.phase == PhaseLoading {
			h.leave(PhaseLoading) // the load under way, if there is one, finds out by this
		}
		h.mu.Unlock()
		if lost {
			h.load()
		}
	})
}

// begin begins an operation that fail can take back. mu is held.
func (h *host[S]) begin() (*Op, error) {
	if err := h.serves(); err != nil {
		return nil, err
	}
	h.reg.Release(h.commits.committed(h.seq))
	h.reg.Snapshot(h.seq)
	return NewOp(h.shard, h.partition, h.rt.opts.Now(), h.rt.opts.Image(), h.rt.opts.NewID), nil
}

// take makes what a successful operation wanted happen. mu is held.
func (h *host[S]) take(op *Op, waits bool) (committed <-chan struct{}) {
	h.seq++
	done := op.Collected()
	for _, n := range done.Notes {
		h.notes.add(n)
	}
	for _, t := range done.Timers {
		h.rt.timers.set(timerKey{h, t.Key}, t, op.Now, h.fire)
	}
	return h.commits.add(h.end, h.seq, done.Replies, done.Effects, waits)
}

// fail takes an operation back. The first records of one that was split may be in the log already: those happened (COR-3). mu is held.
func (h *host[S]) fail(op *Op, written int, err error) {
	h.reg.Revert(h.seq)
	if written > 0 {
		for _, r := range op.Collected().Records[:written] {
			h.shard.Replay(r, op.producer)
		}
		h.seq++
		h.commits.add(h.end, h.seq, nil, nil, false)
	}
	for _, r := range op.Collected().Replies {
		r.Release(err)
	}
}

// errDiverged says that somebody else has written to the log (COR-7).
var errDiverged = kafka.Errorf(kafka.NotCoordinator, "the coordinator's log is not where it was left, it is being loaded again: try again in a moment")

// append writes the records of an operation. When it fails, so many of them are in the log. mu is held.
func (h *host[S]) append(op *Op) (written int, err error) {
	records := op.Collected().Records
	if len(records) == 0 {
		return 0, nil
	}
	e := encoders.Get().(*encoder)
	defer e.release()
	for written < len(records) {
		batch, n, err := e.encode(records[written:], op.producer, op.IsAtomic(), kafka.Timestamp(op.Now.UnixMilli()))
		if err != nil {
			return written, refused(err)
		}
		if err := h.write(batch, n, false, op.Now); err != nil {
			return written, err
		}
		if s, ok := any(h.shard).(Placed); ok {
			for i, r := range records[written : written+n] {
				s.Placed(r, h.end-kafka.Offset(n-i))
			}
		}
		written += n
	}
	return written, nil
}

// write appends one batch of n records. mayRepeat: it is a marker, and the log may have it already. mu is held.
func (h *host[S]) write(batch record.Batches, n int, mayRepeat bool, now time.Time) error {
	end, err := h.rt.opts.Log.Append(h.partition, h.epoch, batch, now)
	if err != nil {
		return refused(err)
	}
	isRepeat := mayRepeat && end == h.end
	if want := h.end + kafka.Offset(n); end != want && !isRepeat {
		h.rt.opts.Logger.Error("the log of a coordinator is not where it was left, so it is loaded again", "topic", h.rt.opts.Topic, "partition", h.partition, "end", end, "expected", want)
		return errDiverged
	}
	h.end = end
	return nil
}

// refused is how an append that failed is told to who asked for the operation.
func refused(err error) error {
	switch c := kafka.CodeOf(err); c {
	case kafka.NotLeaderOrFollower, kafka.FencedLeaderEpoch, kafka.UnknownTopicOrPartition:
		return kafka.Errorf(kafka.NotCoordinator, "this broker is not the coordinator any more: find it again (FindCoordinator): %w", err)
	case kafka.InvalidProducerEpoch, kafka.ConcurrentTransactions, kafka.TransactionCoordinatorFenced:
		return err
	case kafka.MessageTooLarge:
		return kafka.Errorf(kafka.UnknownServerError, "the coordinator cannot store what was asked for: %w", err)
	default:
		return kafka.Errorf(kafka.CoordinatorNotAvailable, "the coordinator cannot write its log: %w", err)
	}
}

// changed tells the shard what changed in the metadata. One that is being loaded hears of it when it is.
func (h *host[S]) changed(d *metadata.Delta) {
	if h.postpone(d) {
		return
	}
	if _, err := h.run(false, func(s S, op *Op) { s.Changed(op, d) }); err != nil && h.phaseNow() == PhaseActive {
		h.rt.opts.Logger.Error("a coordinator could not follow a change of the metadata", "topic", h.rt.opts.Topic, "partition", h.partition, "err", err)
	}
}

// postpone keeps a change for a shard that is not loaded.
func (h *host[S]) postpone(d *metadata.Delta) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase == PhaseActive {
		return false
	}
	if h.phase != PhaseClosed {
		h.late = append(h.late, d)
	}
	return true
}

// fire runs a timer as an operation (COR-6), unless an operation has replaced it or taken it away meanwhile. One that fails is tried again,
// for nobody else would.
func (h *host[S]) fire(t *timer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.rt.timers.claim(t) {
		return
	}
	_, err := h.do(false, func(_ S, op *Op) { t.Fn(op) })
	switch {
	case err == nil || h.phase != PhaseActive:
	case errors.Is(err, errDiverged):
		h.reload()
	default:
		h.rt.opts.Logger.Warn("a timer of a coordinator is tried again", "topic", h.rt.opts.Topic, "partition", h.partition, "err", err)
		h.rt.timers.set(t.of, Timer{t.Key, time.Second, t.Fn}, h.rt.opts.Now(), h.fire)
	}
}

// unload ends the shard's life here: who waits is told to look elsewhere.
func (h *host[S]) unload() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.phase != PhaseClosed {
		h.leave(PhaseClosed)
	}
}

// leave stops what runs for a shard and tells who waits. mu is held.
func (h *host[S]) leave(next Phase) {
	close(h.gone)
	h.gone = make(chan struct{})
	if h.unwatch != nil {
		h.unwatch()
		h.unwatch = nil
	}
	h.rt.timers.drop(h)
	h.phase = next
}

// endTxn appends a transaction marker and folds it into the state, as one operation.
func (h *host[S]) endTxn(p Producer, coordinatorEpoch int32, version int16, commit bool) (ticket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op, err := h.begin()
	if err != nil {
		return ticket{}, err
	}
	if s, ok := any(h.shard).(Staging); ok && version >= 2 {
		if epoch, open := s.Staged(p.ID); open && epoch == p.Epoch && epoch != math.MaxInt16 {
			return ticket{}, kafka.Errorf(kafka.InvalidProducerEpoch, "a marker for epoch %d of producer %d came late: a transaction of that epoch is open", epoch, p.ID)
		}
	}
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch = p.ID, p.Epoch
	marker := record.EndTxnMarker{Commit: commit, CoordinatorEpoch: coordinatorEpoch}
	batch, err := record.BuildEndTxnMarker(nil, o, marker, kafka.Timestamp(op.Now.UnixMilli()))
	if err != nil {
		return ticket{}, fmt.Errorf("build a transaction marker: %w", err)
	}
	before := h.end
	if err := h.write(batch, 1, true, op.Now); err != nil {
		h.fail(op, 0, err)
		if errors.Is(err, errDiverged) {
			h.reload()
		}
		return ticket{}, err
	}
	if h.end > before { // a repeat of the marker is not written again
		h.shard.EndTxn(p, commit)
	}
	return ticket{h.take(op, true), h.gone}, nil
}
