package timeline

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/rafka-io/rafka/internal/seed"
)

// state is what the model copies: a value, a map, and the maps that are values of a map.
type state struct {
	value  int
	m      map[int]int
	nested map[int]map[int]int
}

func (s state) clone() state {
	c := state{s.value, maps.Clone(s.m), map[int]map[int]int{}}
	for k, v := range s.nested {
		c.nested[k] = maps.Clone(v)
	}
	return c
}

// timelines are the same in containers.
type timelines struct {
	value  *Value[int]
	m      *Map[int, int]
	nested *Map[int, *Map[int, int]]
}

func (l timelines) at(e Epoch) state {
	s := state{l.value.GetAt(e), maps.Collect(l.m.AllAt(e)), map[int]map[int]int{}}
	for k, v := range l.nested.AllAt(e) {
		s.nested[k] = maps.Collect(v.AllAt(e))
	}
	return s
}

func equal(a, b state) bool {
	return a.value == b.value && maps.Equal(a.m, b.m) && maps.EqualFunc(a.nested, b.nested, maps.Equal[map[int]int, map[int]int])
}

// TML-1, TML-2 and TML-3 against a model that copies everything at each snapshot.
func TestPastStatesAreWhatTheyWere(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	for round := range 60 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		r := NewRegistry()
		l := timelines{NewValue(r, 0), NewMap[int, int](r), NewMap[int, *Map[int, int]](r)}
		now := state{m: map[int]int{}, nested: map[int]map[int]int{}}
		past := map[Epoch]state{}
		var next, oldest Epoch
		for range 400 {
			k, v := rng.IntN(30), rng.IntN(1000)
			switch rng.IntN(14) {
			case 0, 1, 2:
				r.Snapshot(next)
				past[next] = now.clone()
				next++
			case 3:
				if next == oldest {
					continue
				}
				to := oldest + rng.Int64N(next-oldest)
				r.Revert(to)
				now = past[to].clone()
				for e := to + 1; e < next; e++ {
					delete(past, e)
				}
				next = to + 1
			case 4:
				if next-oldest < 2 {
					continue
				}
				for below := oldest + rng.Int64N(next-oldest); oldest < below; oldest++ {
					delete(past, oldest)
				}
				r.Release(oldest)
			case 5, 6:
				l.value.Set(v)
				now.value = v
			case 7, 8, 9:
				l.m.Set(k, v)
				now.m[k] = v
			case 10:
				l.m.Delete(k)
				delete(now.m, k)
			case 11:
				l.nested.Set(k%5, NewMap[int, int](r))
				now.nested[k%5] = map[int]int{}
			case 12:
				if in, ok := l.nested.Get(k % 5); ok {
					in.Set(v%7, v)
					now.nested[k%5][v%7] = v
				}
			case 13:
				l.nested.Delete(k % 5)
				delete(now.nested, k%5)
			}
			if got := l.at(Latest); !equal(got, now) || l.m.Len() != len(now.m) {
				t.Fatalf("round %d: now %+v, want %+v", round, got, now)
			}
			for e, want := range past {
				if got := l.at(e); !equal(got, want) || l.m.LenAt(e) != len(want.m) {
					t.Fatalf("round %d: at %d %+v, want %+v", round, e, got, want)
				}
				if got, ok := l.m.GetAt(k, e); ok != has(want.m, k) || got != want.m[k] {
					t.Fatalf("round %d: key %d at %d is %d %v", round, k, e, got, ok)
				}
			}
		}
		r.Release(Latest)
		if len(r.snapshots) != 0 || len(l.m.deltas) != 0 || len(l.value.deltas) != 0 {
			t.Fatalf("round %d: %d snapshots, %d and %d deltas are left", round, len(r.snapshots), len(l.m.deltas), len(l.value.deltas))
		}
	}
}

func has(m map[int]int, k int) bool {
	_, ok := m[k]
	return ok
}

// An operation that changes nothing must cost nothing (heartbeats), however many there are.
func TestSnapshotsWithoutChangesKeepNothing(t *testing.T) {
	r := NewRegistry()
	NewMap[int, int](r).Set(1, 1)
	var e Epoch
	allocs := testing.AllocsPerRun(20, func() { // an average, for the runtime allocates now and then
		for range 1000 {
			r.Snapshot(e)
			e++
		}
	})
	if len(r.snapshots) != 1 || allocs > 1 {
		t.Errorf("%d snapshots, %v allocations", len(r.snapshots), allocs)
	}
}

func BenchmarkOperation(b *testing.B) {
	b.ReportAllocs()
	r := NewRegistry()
	m := NewMap[int, int](r)
	for i := range b.N {
		r.Snapshot(Epoch(i))
		m.Set(i%1000, i)
		if i > 16 {
			r.Release(Epoch(i - 16))
		}
	}
}
