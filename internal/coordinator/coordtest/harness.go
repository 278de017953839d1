package coordtest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/timeline"
)

// Written is one record of the log, or a transaction marker.
type Written struct {
	Producer   coordinator.Producer
	Key, Value []byte // Value nil: a tombstone
	Marker     bool
	Commit     bool // of a marker
}

// Harness is a shard and the world as it sees it.
type Harness[S coordinator.Shard] struct {
	Now   time.Time
	Image *metadata.Image
	Shard S
	Log   []Written

	t       testing.TB
	make    func(reg *timeline.Registry) S
	reg     *timeline.Registry
	seq     timeline.Epoch
	held    bool
	upto    timeline.Epoch // committed, while held
	waiting []func()
	ids     uint64
	fail    error
	timers  []*timer
	effects []any
	notes   []coordinator.Note
}

type timer struct {
	coordinator.Timer
	due time.Time
}

// New returns a Harness with an empty shard, at a fixed time, with an empty image. It has had its first operation, Loaded.
func New[S coordinator.Shard](t testing.TB, make func(reg *timeline.Registry) S) *Harness[S] {
	h := &Harness[S]{Now: time.UnixMilli(1_700_000_000_000).UTC(), Image: metadata.Empty(), t: t, make: make}
	h.Restart()
	return h
}

// newID gives ids that count up.
func (h *Harness[S]) newID() (id kafka.UUID) {
	h.ids++
	binary.BigEndian.PutUint64(id[8:], h.ids)
	return id
}

// Do runs one operation. It returns what the operation collected, and the error of FailNext if that struck.
func (h *Harness[S]) Do(fn func(s S, op *coordinator.Op)) (*coordinator.Collected, error) {
	h.t.Helper()
	h.reg.Snapshot(h.seq)
	if !h.held {
		h.reg.Release(h.seq)
	}
	op := coordinator.NewOp(h.Shard, 0, h.Now, h.Image, h.newID)
	fn(h.Shard, op)
	done := op.Collected()
	if h.fail != nil && len(done.Records) > 0 {
		err := h.fail
		h.fail = nil
		h.reg.Revert(h.seq)
		for _, r := range done.Replies {
			r.Release(err)
		}
		return done, err
	}
	h.seq++
	for _, r := range done.Records {
		w := Written{Producer: op.Writer(), Key: r.AppendKey(nil)}
		if v, ok := r.AppendValue([]byte{}); ok {
			w.Value = v
		}
		h.Log = append(h.Log, w)
	}
	for _, to := range done.Timers {
		h.set(to)
	}
	h.notes = append(h.notes, done.Notes...)
	leave := func() {
		h.effects = append(h.effects, done.Effects...)
		for _, r := range done.Replies {
			r.Release(nil)
		}
	}
	if h.held {
		h.waiting = append(h.waiting, leave)
	} else {
		leave()
	}
	return done, nil
}

func (h *Harness[S]) set(to coordinator.Timer) {
	h.timers = slices.DeleteFunc(h.timers, func(t *timer) bool { return t.Key == to.Key })
	if to.Fn != nil {
		h.timers = append(h.timers, &timer{to, h.Now.Add(to.After)})
	}
}

// EndTxn writes a transaction marker.
func (h *Harness[S]) EndTxn(p coordinator.Producer, commit bool) {
	h.reg.Snapshot(h.seq)
	h.Shard.EndTxn(p, commit)
	h.seq++
	h.Log = append(h.Log, Written{Producer: p, Marker: true, Commit: commit})
}

// Advance moves the time by d. Timers that become due fire on the way, each at its time, those of one time in the order in which they were set.
func (h *Harness[S]) Advance(d time.Duration) {
	h.t.Helper()
	end := h.Now.Add(d)
	for {
		var first *timer
		for _, t := range h.timers {
			if !t.due.After(end) && (first == nil || t.due.Before(first.due)) {
				first = t
			}
		}
		if first == nil {
			break
		}
		h.timers = slices.DeleteFunc(h.timers, func(t *timer) bool { return t == first })
		if first.due.After(h.Now) {
			h.Now = first.due
		}
		if _, err := h.Do(func(_ S, op *coordinator.Op) { first.Fn(op) }); err != nil { // as the runtime does: once more, a second later
			h.set(coordinator.Timer{Key: first.Key, After: time.Second, Fn: first.Fn})
		}
	}
	h.Now = end
}

// Timers lists the timers that are set, "key in 3s", first the one that fires first.
func (h *Harness[S]) Timers() []string {
	list := slices.Clone(h.timers)
	slices.SortStableFunc(list, func(a, b *timer) int { return a.due.Compare(b.due) })
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = fmt.Sprintf("%s in %v", t.Key, t.due.Sub(h.Now))
	}
	return names
}

// FailNext makes the next operation that writes something fail with err.
func (h *Harness[S]) FailNext(err error) { h.fail = err }

// Restart makes a new shard from the log, as after a crash or a change of leaders: what was not in the log is lost.
func (h *Harness[S]) Restart() {
	h.t.Helper()
	h.reg = timeline.NewRegistry()
	h.Shard = h.make(h.reg)
	h.timers, h.waiting, h.held, h.fail = nil, nil, false, nil
	for i, w := range h.Log {
		if w.Marker {
			h.Shard.EndTxn(w.Producer, w.Commit)
			continue
		}
		r, err := h.Shard.Decode(w.Key, w.Value)
		if err != nil {
			h.t.Fatalf("record %d of the log cannot be read: %v", i, err)
		}
		if r != nil {
			h.Shard.Replay(r, w.Producer)
		}
	}
	if _, err := h.Do(func(s S, op *coordinator.Op) { s.Loaded(op) }); err != nil {
		h.t.Fatal(err)
	}
}

// Change tells the shard of another image.
func (h *Harness[S]) Change(img *metadata.Image, d *metadata.Delta) {
	h.t.Helper()
	h.Image = img
	if _, err := h.Do(func(s S, op *coordinator.Op) { s.Changed(op, d) }); err != nil {
		h.t.Fatal(err)
	}
}

// Hold keeps what follows from being committed until Commit.
func (h *Harness[S]) Hold() { h.held, h.upto = true, h.seq }

// Commit commits everything.
func (h *Harness[S]) Commit() {
	h.held = false
	for _, leave := range h.waiting {
		leave()
	}
	h.waiting = nil
}

// Read looks at what is committed.
func (h *Harness[S]) Read(fn func(s S, v coordinator.View)) {
	h.reg.Snapshot(h.seq)
	v := coordinator.View{Now: h.Now, Image: h.Image, Committed: h.seq}
	if h.held {
		v.Committed = h.upto
	}
	fn(h.Shard, v)
}

// Effects are those since the last call.
func (h *Harness[S]) Effects() (list []any) {
	list, h.effects = h.effects, nil
	return list
}

// Notes are those since the last call, as lines.
func (h *Harness[S]) Notes() string {
	var b strings.Builder
	for _, n := range h.notes {
		fmt.Fprintf(&b, "%s: %s\n", n.About, n.Text)
	}
	h.notes = nil
	return b.String()
}
