package logtest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/storage"
)

var steps = flag.Int("logtest.steps", 1500, "random operations in logtest.Metamorphic")

// Named is an engine for Metamorphic.
type Named struct {
	Name string
	Open func(t testing.TB) Harness
}

// Metamorphic runs the same random operations over several logs of each engine: every answer must be the model's, so that all engines
// agree.
func Metamorphic(t *testing.T, engines ...Named) {
	seed := seed.Of(t)
	for _, e := range engines {
		t.Run(e.Name, func(t *testing.T) {
			t.Logf("seed %d", seed)
			s := &suite{T: t, Harness: e.Open(t), rng: rand.New(rand.NewPCG(seed, 1))}
			w := &walk{suite: s}
			for i := range 3 {
				w.logs = append(w.logs, &walked{subject: s.open(fmt.Sprintf("t%d", i), small), blobs: map[string][]byte{}})
			}
			for w.step = range *steps {
				w.one(w.logs[s.rng.IntN(len(w.logs))])
			}
			for _, u := range w.logs {
				u.check()
			}
		})
	}
}

type walk struct {
	*suite
	logs []*walked
	step int
}

type walked struct {
	*subject
	blobs       map[string][]byte
	incarnation byte
}

// one runs one operation. The dice must not depend on an engine's answers, except for those that all engines share.
func (w *walk) one(u *walked) {
	defer func() {
		if u.Failed() {
			u.Logf("step %d, log %s", w.step, u.id)
		}
	}()
	rng := w.rng
	within := func() kafka.Offset {
		return u.model.start + kafka.Offset(rng.Int64N(int64(u.model.end-u.model.start)+1))
	}
	switch n := rng.IntN(100); {
	case n < 35:
		u.append(1 + rng.IntN(5))
	case n < 38:
		u.put(u.batch(u.model.end + kafka.Offset(rng.IntN(30))))
	case n < 55:
		below := kafka.NoOffset
		if rng.IntN(3) == 0 {
			below = within()
		}
		_, err := u.model.compareRead(u.log, within()+kafka.Offset(rng.IntN(4)-2), storage.ReadLimit{MaxBytes: rng.IntN(6000), Below: below})
		u.must(err)
	case n < 60:
		u.sync()
	case n < 65:
		u.truncate(u.model.cutOffset(rng))
		u.epoch++
	case n < 70:
		u.trim(within())
	case n < 75:
		u.compareTimes(3)
		u.compareMax()
	case n < 85:
		w.sidecar(u)
	case n < 88:
		if g, ok := u.log.(storage.Segmented); ok {
			u.must(g.Roll())
		}
	case n < 90:
		w.compact(u)
	case n < 92:
		if _, ok := u.log.(storage.Segmented); ok {
			u.compareSegments()
		}
	case n < 94:
		u.must(u.Engine.Remove(u.id))
		u.incarnation++
		u.id.TopicID = topicID(u.id.Topic, u.incarnation)
		u.model = model{}
		clear(u.blobs)
		u.openLog(w.Engine, small)
	case n < 96:
		u.must(u.log.Close())
		u.openLog(w.Engine, small)
	case n < 97:
		if w.Reopen != nil {
			w.Engine = w.Reopen(w)
			for _, u := range w.logs {
				u.openLog(w.Engine, small)
			}
		}
	default:
		u.check()
	}
}

func (w *walk) sidecar(u *walked) {
	u.Helper()
	c := u.log.Sidecar()
	name := []string{"epochs", "producers", "start"}[w.rng.IntN(3)]
	switch w.rng.IntN(4) {
	case 0:
		blob := bytes.Repeat([]byte{byte(w.step)}, w.rng.IntN(2000))
		u.must(c.Put(name, blob))
		u.blobs[name] = blob
	case 1:
		u.must(c.Delete(name))
		delete(u.blobs, name)
	case 2:
		got, err := c.Get(name)
		if want, ok := u.blobs[name]; ok != (err == nil) || !bytes.Equal(got, want) || !ok && !errors.Is(err, fs.ErrNotExist) {
			u.Fatalf("step %d: blob %s: %d bytes, %v; want %d bytes", w.step, name, len(got), err, len(want))
		}
	case 3:
		names, err := c.List()
		u.must(err)
		slices.Sort(names)
		var want []string
		for name := range u.blobs {
			want = append(want, name)
		}
		slices.Sort(want)
		if !slices.Equal(names, want) {
			u.Fatalf("step %d: blobs %q, want %q", w.step, names, want)
		}
	}
}

// compact rolls and replaces everything closed, by a rule that depends on the batches only, since engines cut segments where they like.
func (w *walk) compact(u *walked) {
	u.Helper()
	rule := w.rng.Uint32()
	g, ok := u.log.(storage.Segmented)
	if !ok {
		return
	}
	u.must(g.Roll())
	segs := g.Segments()
	if len(segs) < 2 {
		return
	}
	u.replace(segs[0].Base, segs[len(segs)-2].Next, func(p piece) bool { return (p.CRC^rule)%3 > 0 })
}
