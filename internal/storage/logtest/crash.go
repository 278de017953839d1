package logtest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/vfs"
)

var crashSteps = flag.Int("logtest.crashsteps", 40, "random operations in logtest.Crash, each with several crashes")

// OpenFS opens an engine that keeps its logs in fs. Crash opens it over what a crash has left, too.
type OpenFS func(fs vfs.FS) (storage.Engine, error)

// Crash runs a random workload over three logs and crashes the file system at every sync and directory sync, and now and then between. Over
// each of the copies that a crash leaves the engine is opened: everything that Sync, OnDurable, TrimTo or Sidecar.Put has confirmed must
// be there byte for byte, the rest must be a clean prefix of what was appended (STO-3), a truncation or compaction is there whole or not
// at all (STO-4, CMP-5), and the log takes appends that survive the next crash; goroutines of the engine make a
// run with the same seed similar, not equal.
func Crash(t *testing.T, open OpenFS) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	mem := vfs.NewMem()
	c := &crasher{T: t, open: open, fs: mem, rng: rand.New(rand.NewPCG(seed, 2))}
	c.clones.rng = rand.New(rand.NewPCG(seed, 3))
	for i := range 3 {
		w := &witness{subject: &subject{suite: &suite{T: t, rng: c.rng}, now: 1_000_000}}
		w.id.TopicPartition = kafka.TopicPartition{Topic: "c", Partition: int32(i)}
		w.reset()
		c.logs = append(c.logs, w)
	}
	c.start()
	mem.OnSync(func(string) { c.crash(vfs.LoseUnsynced, vfs.KeepSome) })
	for range *crashSteps {
		c.step(c.logs[c.rng.IntN(len(c.logs))])
		if c.rng.IntN(4) == 0 {
			c.crash(vfs.KeepSome, vfs.KeepAll)
		}
		c.verify()
	}
	if err := c.engine.Close(); err != nil {
		t.Fatal(err)
	}
	c.crash(vfs.LoseUnsynced)
	c.verify()
}

type crasher struct {
	*testing.T
	open   OpenFS
	fs     *vfs.Mem
	rng    *rand.Rand
	engine storage.Engine
	logs   []*witness

	clones struct {
		sync.Mutex // taken by whoever syncs; nothing is locked under it but the witnesses
		rng        *rand.Rand
		list       []clone
		total      int
	}
}

// clone is what a crash left, and what must be found there.
type clone struct {
	fs      *vfs.Mem
	mode    vfs.CrashMode
	expects []*expectation
	seed    uint64
}

func (c *crasher) start() {
	c.Helper()
	var err error
	if c.engine, err = c.open(c.fs); err != nil {
		c.Fatal(err)
	}
	for _, w := range c.logs {
		c.openLog(w)
	}
}

func (c *crasher) openLog(w *witness) {
	c.Helper()
	cfg := small
	cfg.OnDurable = w.onDurable()
	cfg.OnFailed = func(err error) { c.Errorf("the log failed: %v", err) }
	var err error
	if w.log, err = c.engine.Open(w.id, cfg); err != nil {
		c.Fatal(err)
	}
}

// crash takes copies. What is confirmed is noted before the copy and what was begun after it, so that neither can be too much.
func (c *crasher) crash(modes ...vfs.CrashMode) {
	c.clones.Lock()
	defer c.clones.Unlock()
	for _, mode := range modes {
		x := clone{mode: mode, seed: c.clones.rng.Uint64()}
		for _, w := range c.logs {
			x.expects = append(x.expects, w.before())
		}
		x.fs = c.fs.Crash(rand.New(rand.NewPCG(x.seed, 4)), mode)
		for i, w := range c.logs {
			w.after(x.expects[i])
		}
		c.clones.list = append(c.clones.list, x)
	}
}

// verify opens the engine over the copies taken so far.
func (c *crasher) verify() {
	c.Helper()
	c.clones.Lock()
	list := c.clones.list
	c.clones.list = nil
	c.clones.total += len(list)
	total := c.clones.total
	c.clones.Unlock()
	for i := range list {
		if err := c.check(&list[i]); err != nil {
			c.Fatalf("crash %d, mode %d, seed %d: %v", total-len(list)+i, list[i].mode, list[i].seed, err)
		}
	}
}

// check recovers a copy, appends to it, and recovers a crash of that.
func (c *crasher) check(x *clone) error {
	e, err := c.open(x.fs)
	if err != nil {
		return fmt.Errorf("open after the crash: %w", err)
	}
	rng := rand.New(rand.NewPCG(x.seed, 5))
	var models []model
	for _, want := range x.expects {
		l, err := e.Open(want.id, small)
		if err != nil {
			return err
		}
		m, err := want.check(l)
		if err != nil {
			return fmt.Errorf("%s: %w", want.id, err)
		}
		for range 2 {
			b := Batch{Base: m.end, Records: 1 + rng.IntN(3), ValueBytes: rng.IntN(500), Timestamp: 2_000_000, LeaderEpoch: 1000, Seed: rng.Uint64()}.Append(nil)
			if _, err := l.Append(b); err != nil {
				return fmt.Errorf("append to %s after the crash: %w", want.id, err)
			}
			m.append(b)
		}
		if err := l.Sync(context.Background(), m.end); err != nil {
			return err
		}
		if err := m.compare(l, 1<<12); err != nil {
			return fmt.Errorf("%s after an append: %w", want.id, err)
		}
		models = append(models, m)
	}
	again := x.fs.Crash(rng, vfs.LoseUnsynced)
	if err := e.Close(); err != nil {
		return err
	}
	for i, fsys := range []*vfs.Mem{again, x.fs} {
		if e, err = c.open(fsys); err != nil {
			return fmt.Errorf("open again, %d: %w", i, err)
		}
		for k, want := range x.expects {
			l, err := e.Open(want.id, small)
			if err != nil {
				return err
			}
			if err := models[k].compare(l, 1<<12); err != nil {
				return fmt.Errorf("%s recovered again, %d: %w", want.id, i, err)
			}
		}
		if err := e.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (c *crasher) step(w *witness) {
	c.Helper()
	rng := c.rng
	switch n := rng.IntN(100); {
	case n < 55:
		var b record.Batches
		next := w.model.end
		for range 1 + rng.IntN(4) {
			one := w.batch(next)
			next = pieces(one)[0].NextOffset()
			b = append(b, one...)
		}
		if rng.IntN(8) == 0 {
			b = Batch{Base: next, Records: 1, ValueBytes: 20_000 + rng.IntN(80_000), Timestamp: w.now, LeaderEpoch: w.epoch, Seed: rng.Uint64()}.Append(b)
		}
		w.put(b)
	case n < 70:
		w.sync()
	case n < 76:
		w.truncate(w.model.cutOffset(rng))
	case n < 81:
		w.trim(w.model.start + kafka.Offset(rng.Int64N(int64(w.model.end-w.model.start)+1)))
	case n < 87:
		w.blob([]string{"epochs", "producers"}[rng.IntN(2)], bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(9000)))
	case n < 91:
		if g, ok := w.log.(storage.Segmented); ok {
			w.must(g.Roll())
		}
	case n < 95:
		w.compact()
	case n < 97:
		old := w.id
		w.reset() // first: from now on the old log must not be found under the new id
		w.must(c.engine.Remove(old))
		c.openLog(w)
	default:
		w.must(c.engine.Close())
		c.start()
	}
}
