package share

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

func parseBatches(t testing.TB, text string) (list []StateBatch) {
	if text == "-" {
		return nil
	}
	for _, part := range strings.Split(text, ",") {
		var b StateBatch
		if _, err := fmt.Sscanf(part, "%d-%d:%dx%d", &b.First, &b.Last, &b.State, &b.Count); err != nil {
			t.Fatal(part, err)
		}
		list = append(list, b)
	}
	return list
}

// The lines were written by Kafka 4.4's own PersisterStateBatchCombiner: what was there, what came, the start, what became of it.
func TestCombineAgreesWithKafkas(t *testing.T) {
	b, err := os.ReadFile("testdata/kafka-4.4-combine.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		var start kafka.Offset
		if _, err := fmt.Sscan(f[2], &start); err != nil {
			t.Fatal(err)
		}
		got := combine(parseBatches(t, f[0]), tidy(parseBatches(t, f[1])), start)
		if want := parseBatches(t, f[3]); !slices.Equal(got, want) {
			t.Errorf("%s + %s from %d is %v, Kafka has %v", f[0], f[1], start, got, want)
		}
	}
}

// At every offset the higher of all batches counts, and neighbours of one state are one batch.
func TestCombineIsTheHigherAtEveryOffset(t *testing.T) {
	seed := seed.Of(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		var old, add []StateBatch
		for at := kafka.Offset(rng.IntN(5)); len(old) < rng.IntN(8); {
			b := StateBatch{at, at + kafka.Offset(rng.IntN(6)), RecordState(rng.IntN(3) * 2), int16(1 + rng.IntN(3))}
			old = addBatch(old, b)
			at = b.Last + 1 + kafka.Offset(rng.IntN(3))
		}
		for range rng.IntN(8) {
			first := kafka.Offset(rng.IntN(50))
			add = append(add, StateBatch{first, first + kafka.Offset(rng.IntN(12)) - 1, RecordState(rng.IntN(3) * 2), int16(1 + rng.IntN(3))})
		}
		start := kafka.Offset(rng.IntN(20))
		got := combine(old, tidy(add), start)
		var want []StateBatch
		for at := start; at < 80; at++ {
			best, ok := StateBatch{}, false
			for _, b := range slices.Concat(old, add) {
				if b.First <= at && at <= b.Last && (!ok || b.Count > best.Count || b.Count == best.Count && b.State > best.State) {
					best, ok = StateBatch{at, at, b.State, b.Count}, true
				}
			}
			if ok {
				want = addBatch(want, best)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v + %v from %d is %v, want %v", seed, old, add, start, got, want)
		}
	}
}
