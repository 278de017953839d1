package sim

import (
	"math"
	"slices"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/timeline"
)

// phase is where a shard is in its life, as in coordinator (COR-4).
type phase int8

const (
	phaseLoading phase = iota
	phaseActive
	phaseFailed
	phaseClosed
)

// shard runs one state machine, single-stepped, by the rules of coordinator's host (COR-1 to COR-7).
type shard[S coordinator.Shard] struct {
	n         *node
	topic     string
	partition int32
	epoch     kafka.LeaderEpoch
	make      func(*timeline.Registry) S
	effect    func(*shard[S], any)

	phase   phase
	loads   int // counts them, so that what waits for an older one is known
	shard   S
	reg     *timeline.Registry
	end     kafka.Offset
	seq     timeline.Epoch
	upto    timeline.Epoch // committed
	hw      kafka.Offset
	lost    bool
	waiting []committing
	timers  []*timer
	unwatch func()
	late    []*metadata.Delta
}

// committing is an operation whose records are not committed, or that has seen such.
type committing struct {
	behind  kafka.Offset
	seq     timeline.Epoch
	replies []coordinator.Pending
	effects []any
	done    func(error)
}

type timer struct {
	coordinator.Timer
}

func (h *shard[S]) replica() *replica {
	return h.n.replica(kafka.TopicPartition{Topic: h.topic, Partition: h.partition})
}

var (
	errLoading = kafka.CoordinatorLoadInProgress
	errGone    = kafka.NotCoordinator
)

// serves is the error that answers requests unless the shard is active.
func (h *shard[S]) serves() error {
	switch h.phase {
	case phaseActive:
		return nil
	case phaseLoading:
		return errLoading
	case phaseFailed:
		return kafka.CoordinatorNotAvailable
	}
	return errGone
}

// load makes a shard of the log, and lets it serve once all of that is committed.
func (h *shard[S]) load() {
	h.loads++
	load := h.loads
	h.n.after(h.n.w.between(50*time.Microsecond, 5*time.Millisecond), func() {
		if h.loads == load && h.phase != phaseClosed {
			h.read(load)
		}
	})
}

// read is one attempt at loading.
func (h *shard[S]) read(load int) {
	n, r := h.n, h.replica()
	if r == nil {
		return
	}
	h.phase, h.lost, h.hw, h.waiting = phaseLoading, false, 0, nil
	h.watch(r)
	reg := timeline.NewRegistry()
	s := h.make(reg)
	end, err := r.p.ReadAll(n.context(), h.epoch, func(b record.Batches) error { return foldBatch(s, b) })
	if err != nil {
		if kafka.CodeOf(err) == kafka.CorruptMessage || kafka.CodeOf(err) == kafka.UnknownServerError {
			n.w.fail("%s cannot load %s-%d: %v", n, h.topic, h.partition, err)
		}
		h.leave(phaseFailed)
		h.n.after(time.Second, func() {
			if h.loads == load && h.phase == phaseFailed {
				h.load()
			}
		})
		return
	}
	h.watch(r)
	activate := func(err error) {
		if err != nil || h.phase != phaseLoading || h.loads != load {
			return
		}
		h.shard, h.reg, h.end, h.seq, h.upto = s, reg, end, 0, 0
		h.phase = phaseActive
		n.w.say("%s serves %s-%d in epoch %d, %d offsets", n, h.topic, h.partition, h.epoch, end)
		err = h.run(func(s S, op *coordinator.Op) {
			s.Loaded(op)
			for _, d := range h.late {
				s.Changed(op, d)
			}
		}, nil)
		h.late = nil
		if err != nil {
			h.reload()
		}
	}
	if h.hw >= end || n.w.mutant == "a coordinator serves what is not committed" {
		activate(nil)
		return
	}
	h.waiting = append(h.waiting, committing{behind: end, done: activate})
}

// foldBatch folds a batch of the log into a shard.
func foldBatch(s coordinator.Shard, b record.Batches) error {
	h, _ := record.ParseHeader(b)
	p := coordinator.Producer{ID: kafka.NoProducer, Epoch: -1}
	if h.IsTransactional() {
		p = coordinator.Producer{ID: h.ProducerID, Epoch: h.ProducerEpoch}
	}
	for r, err := range record.Records(b, math.MaxInt32) {
		if err != nil {
			return err
		}
		if h.IsControl() {
			if m, ok, err := record.ParseEndTxnMarker(&r); err != nil || ok {
				s.EndTxn(p, m.Commit)
			}
			continue
		}
		rec, err := s.Decode(r.Key, r.Value)
		if err != nil {
			return err
		}
		if rec != nil {
			s.Replay(rec, p)
		}
	}
	return nil
}

// watch follows the high watermark.
func (h *shard[S]) watch(r *replica) {
	before, load := h.unwatch, h.loads
	h.unwatch = r.p.OnHighWatermark(func(hw kafka.Offset) {
		switch {
		case h.loads != load || h.lost:
		case hw == kafka.NoOffset:
			h.lost = true
			h.n.after(10*time.Microsecond, func() {
				if h.loads == load && h.phase != phaseClosed {
					h.reload()
				}
			})
		case hw > h.hw:
			h.hw = hw
			h.n.after(0, func() {
				if h.loads == load {
					h.moved()
				}
			})
		}
	})
	if before != nil {
		before()
	}
}

// moved releases what is committed by now.
func (h *shard[S]) moved() {
	for len(h.waiting) > 0 && h.waiting[0].behind <= h.hw && !h.lost {
		e := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.upto = max(h.upto, e.seq)
		h.release(e, nil)
	}
}

// release lets the answers and effects of an operation go; after an error, the answers' error.
func (h *shard[S]) release(e committing, err error) {
	for _, r := range e.replies {
		r.Release(err)
	}
	if err == nil && h.effect != nil {
		for _, x := range e.effects {
			h.effect(h, x)
		}
	}
	if e.done != nil {
		e.done(err)
	}
}

// leave ends a shard's life, or a load of it.
func (h *shard[S]) leave(next phase) {
	if h.unwatch != nil {
		h.unwatch()
		h.unwatch = nil
	}
	h.phase, h.timers = next, nil
	waiting := h.waiting
	h.waiting = nil
	for _, e := range waiting {
		h.release(e, errGone)
	}
	if next != phaseFailed {
		h.loads++
	}
}

// reload makes a new shard of the log.
func (h *shard[S]) reload() {
	h.leave(phaseLoading)
	h.load()
}

// run is one operation. done is told when everything is committed that it may have seen; nil: nobody waits.
func (h *shard[S]) run(fn func(s S, op *coordinator.Op), done func(error)) error {
	if err := h.serves(); err != nil {
		return err
	}
	op := h.begin()
	fn(h.shard, op)
	if err := h.append(op); err != nil {
		h.reg.Revert(h.seq)
		for _, r := range op.Collected().Replies {
			r.Release(err)
		}
		return err
	}
	h.take(op, done)
	return nil
}

func (h *shard[S]) begin() *coordinator.Op {
	h.reg.Release(h.committed())
	h.reg.Snapshot(h.seq)
	return coordinator.NewOp(h.shard, h.partition, h.n.clock(), h.n.img, h.n.w.newID)
}

func (h *shard[S]) committed() timeline.Epoch {
	if len(h.waiting) == 0 {
		return h.seq
	}
	return h.upto
}

func (h *shard[S]) append(op *coordinator.Op) error {
	records := op.Collected().Records
	if len(records) == 0 {
		return nil
	}
	list := make([]record.Record, len(records))
	for i, r := range records {
		list[i] = record.Record{Key: r.AppendKey(nil), Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(op.Now.UnixMilli())}
		if v, ok := r.AppendValue([]byte{}); ok {
			list[i].Value = v
		}
	}
	o := record.PlainOptions()
	if p := op.Writer(); p.ID != kafka.NoProducer {
		o.ProducerID, o.ProducerEpoch, o.Transactional = p.ID, p.Epoch, true
	}
	batch, err := record.Build(nil, o, list)
	if err != nil {
		h.n.w.fail("%s cannot build a batch for %s: %v", h.n, h.topic, err)
	}
	_, err = h.write(batch, len(list), false, op.Now)
	return err
}

// write appends one batch of so many records.
func (h *shard[S]) write(batch []byte, count int, mayRepeat bool, now time.Time) (isRepeat bool, err error) {
	r := h.replica()
	if r == nil {
		return false, errGone
	}
	end, err := r.p.AppendInternal(batch, h.epoch, now)
	if err != nil {
		switch c := kafka.CodeOf(err); c {
		case kafka.NotLeaderOrFollower, kafka.FencedLeaderEpoch, kafka.UnknownTopicOrPartition:
			return false, errGone
		case kafka.InvalidProducerEpoch, kafka.ConcurrentTransactions, kafka.TransactionCoordinatorFenced:
			return false, err
		default:
			return false, kafka.CoordinatorNotAvailable
		}
	}
	isRepeat = mayRepeat && end == h.end
	if !isRepeat && end != h.end+kafka.Offset(count) {
		h.n.w.fail("%s: the log of %s-%d ends at %d, and the shard left it at %d", h.n, h.topic, h.partition, end, h.end)
	}
	h.end = end
	return isRepeat, nil
}

// take makes what a successful operation wanted happen.
func (h *shard[S]) take(op *coordinator.Op, done func(error)) {
	h.seq++
	c := op.Collected()
	for _, t := range c.Timers {
		h.set(t)
	}
	e := committing{behind: h.end, seq: h.seq, replies: c.Replies, effects: c.Effects, done: done}
	if h.hw >= h.end && len(h.waiting) == 0 || h.n.w.mutant == "a coordinator answers before the commit" {
		h.upto = h.seq
		h.release(e, nil)
		return
	}
	h.waiting = append(h.waiting, e)
}

// set sets, replaces or takes away a timer.
func (h *shard[S]) set(to coordinator.Timer) {
	h.timers = slices.DeleteFunc(h.timers, func(t *timer) bool { return t.Key == to.Key })
	if to.Fn == nil {
		return
	}
	t := &timer{to}
	h.timers = append(h.timers, t)
	h.n.after(max(to.After, 0), func() {
		if !slices.Contains(h.timers, t) || h.phase != phaseActive {
			return
		}
		h.timers = slices.DeleteFunc(h.timers, func(o *timer) bool { return o == t })
		if err := h.run(func(_ S, op *coordinator.Op) { t.Fn(op) }, nil); err != nil && h.phase == phaseActive {
			h.set(coordinator.Timer{Key: t.Key, After: time.Second, Fn: t.Fn})
		}
	})
}

// changed tells the shard what changed in the metadata, or keeps it for when it is loaded.
func (h *shard[S]) changed(d *metadata.Delta) {
	switch h.phase {
	case phaseActive:
		_ = h.run(func(s S, op *coordinator.Op) { s.Changed(op, d) }, nil)
	case phaseClosed:
	default:
		h.late = append(h.late, d)
	}
}

// endTxn appends a transaction's marker.
func (h *shard[S]) endTxn(p coordinator.Producer, coordinatorEpoch int32, version int16, commit bool, done func(error)) {
	if err := h.serves(); err != nil {
		done(err)
		return
	}
	if s, ok := any(h.shard).(coordinator.Staging); ok && version >= 2 && h.n.w.mutant != "a late marker ends the next transaction" {
		if epoch, open := s.Staged(p.ID); open && epoch == p.Epoch && epoch != math.MaxInt16 {
			done(kafka.InvalidProducerEpoch)
			return
		}
	}
	op := h.begin()
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch = p.ID, p.Epoch
	batch, err := record.BuildEndTxnMarker(nil, o, record.EndTxnMarker{Commit: commit, CoordinatorEpoch: coordinatorEpoch}, kafka.Timestamp(op.Now.UnixMilli()))
	if err != nil {
		h.n.w.fail("%v", err)
	}
	isRepeat, err := h.write(batch, 1, true, op.Now)
	if err != nil {
		h.reg.Revert(h.seq)
		done(err)
		return
	}
	if !isRepeat {
		h.shard.EndTxn(p, commit)
	}
	h.take(op, done)
}
