package logtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"

	"github.com/rafka-io/rafka/internal/seed"
)

// Faults makes the disk fail under an engine: at the n-th write or sync from then on everything fails. The log must say so once, confirm
// nothing more and refuse appends until the engine is opened again over a disk that works; then all that was confirmed is there (STO-3,
// STO-7).
func Faults(t *testing.T, open OpenFS) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	for _, op := range []string{"write", "sync"} {
		for n := range 12 {
			fault(t, rand.New(rand.NewPCG(seed, uint64(n))), op, int64(n), open)
		}
	}
}

func fault(t *testing.T, rng *rand.Rand, op string, n int64, open OpenFS) {
	mem := vfs.NewMem()
	broken := errors.New("input/output error")
	w := &witness{subject: &subject{suite: &suite{T: t, rng: rng}, now: 1_000_000}}
	w.id.Topic = "f"
	w.reset()
	e, err := open(mem)
	w.must(err)
	var failures atomic.Int32
	told := make(chan struct{}, 10)
	cfg := small
	cfg.OnDurable = w.onDurable()
	cfg.OnFailed = func(err error) {
		defer func() { told <- struct{}{} }()
		if failures.Add(1) > 1 {
			t.Errorf("%s %d: told twice that the log failed", op, n)
		}
		if !errors.Is(err, broken) {
			t.Errorf("%s %d: failed with %v", op, n, err)
		}
	}
	w.log, err = e.Open(w.id, cfg)
	w.must(err)
	w.put(w.batch(0))
	w.sync()
	var seen atomic.Int64
	mem.Fail(func(did, _ string) error {
		if did == op && seen.Add(1) > n || did != op && seen.Load() > n && (did == "write" || did == "sync") {
			return broken
		}
		return nil
	})
	for range 200 {
		b := w.batch(w.model.end)
		w.mu.Lock()
		last := w.last()
		last.pieces = append(last.pieces, pieces(b)...)
		last.end = last.pieces[len(last.pieces)-1].NextOffset()
		w.mu.Unlock()
		if _, err = w.log.Append(b); err != nil {
			break
		}
		w.model.append(b)
		if err = w.log.Sync(context.Background(), w.model.end); err != nil {
			break
		}
		w.mu.Lock()
		w.confirmLocked(w.model.end)
		w.mu.Unlock()
	}
	if err == nil {
		t.Fatalf("%s %d: 200 syncs went well on a broken disk", op, n)
	}
	if !errors.Is(err, storage.ErrOffline) {
		t.Errorf("%s %d: %v, want ErrOffline", op, n, err)
	}
	mem.Fail(nil) // the disk is well again, the log must not be
	if _, err := w.log.Append(w.batch(w.model.end)); !errors.Is(err, storage.ErrOffline) {
		t.Errorf("%s %d: append after the failure: %v", op, n, err)
	}
	if err := w.log.Sync(context.Background(), w.model.end); !errors.Is(err, storage.ErrOffline) {
		t.Errorf("%s %d: sync after the failure: %v", op, n, err)
	}
	select {
	case <-told:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s %d: nobody was told that the log failed", op, n)
	}
	x := w.before()
	left := mem.Crash(rng, vfs.KeepSome)
	w.after(x)
	_ = e.Close() // what it says does not matter: a part of it is broken
	e, err = open(left)
	w.must(err)
	l, err := e.Open(w.id, small)
	w.must(err)
	if _, err := x.check(l); err != nil {
		t.Fatalf("%s %d: after reopening: %v", op, n, err)
	}
	w.must(e.Close())
}
