package assign_test

import (
	"math/rand/v2"
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

type partition struct {
	id kafka.UUID
	n  int32
}

func randomSet(r *rand.Rand) (assign.Partitions, map[partition]bool) {
	var list []assign.Topic
	model := map[partition]bool{}
	for range r.IntN(5) {
		t := assign.Topic{ID: topicID(r.IntN(4))}
		for range r.IntN(6) {
			n := int32(r.IntN(8))
			t.Partitions = append(t.Partitions, n)
			model[partition{t.ID, n}] = true
		}
		list = append(list, t)
	}
	return assign.Of(list), model
}

func TestSetsBehaveAsSets(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		a, inA := randomSet(r)
		b, inB := randomSet(r)
		meets, within := false, true
		for _, op := range []struct {
			name string
			got  assign.Partitions
			in   func(a, b bool) bool
		}{
			{"a", a, func(a, _ bool) bool { return a }}, {"minus", a.Minus(b), func(a, b bool) bool { return a && !b }},
			{"and", a.And(b), func(a, b bool) bool { return a && b }}, {"or", a.Or(b), func(a, b bool) bool { return a || b }},
		} {
			n := 0
			for topic := range 4 {
				for part := range int32(8) {
					at := partition{topicID(topic), part}
					want := op.in(inA[at], inB[at])
					if want {
						n++
					}
					if op.got.Has(at.id, part) != want {
						t.Fatalf("seed %d: %s of %v and %v is %v", seed, op.name, a, b, op.got)
					}
					meets = meets || inA[at] && inB[at]
					within = within && (!inA[at] || inB[at])
				}
			}
			if op.got.Len() != n || !op.got.Equal(assign.Of(op.got)) {
				t.Fatalf("seed %d: %s of %v and %v is %v", seed, op.name, a, b, op.got)
			}
		}
		if a.Meets(b) != meets || a.Within(b) != within || a.Equal(b) != (len(inA) == len(inB) && within) {
			t.Fatalf("seed %d: %v and %v: meets %v, within %v, equal %v", seed, a, b, a.Meets(b), a.Within(b), a.Equal(b))
		}
	}
}
