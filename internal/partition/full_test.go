package partition

import (
	"context"
	"testing"
	"testing/synctest"
)

// PAR-7: on a full disk nothing more becomes durable; records can be deleted all the same, and what is saved of producers says nothing of
// what may vanish.
func TestTrimDoesNotWaitForAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.engine.Hold = true
		b.append(producerBatch(1, 0, 0, 5))
		b.log().Settle(5)
		b.append(producerBatch(1, 0, 5, 5))
		b.append(producerBatch(2, 0, 0, 5))
		b.log().Stuck = true
		if start, err := b.TrimTo(context.Background(), 3); err != nil || start != 3 {
			t.Fatalf("log start %d: %v", start, err)
		}
		b.restart(true) // what was not durable is gone
		b.engine.Hold = false
		if base := b.append(producerBatch(1, 0, 0, 5)); base != 0 {
			t.Errorf("a repeat of what was durable is answered with %d", base)
		}
		if base := b.append(producerBatch(1, 0, 5, 5)); base != 5 {
			t.Errorf("the lost batch, sent again, is answered with %d", base)
		}
	})
}
