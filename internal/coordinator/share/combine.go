package share

import (
	"math"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// combine lays one list of state batches over another, as Kafka's coordinator does, and cuts away what lies below the start: for each offset the
// batch with more deliveries counts, then the one with the higher state, whichever was written first. So a write that is repeated, or arrives
// after a later one, changes nothing. Neighbours in the same state become one. Both lists are in the order of offsets and do not overlap.
func combine(a, b []StateBatch, start kafka.Offset) []StateBatch {
	out := make([]StateBatch, 0, len(a)+len(b))
	var x, y StateBatch
	hasX, hasY := false, false
	for {
		if !hasX && len(a) > 0 {
			x, a, hasX = a[0], a[1:], true
		}
		if !hasY && len(b) > 0 {
			y, b, hasY = b[0], b[1:], true
		}
		switch {
		case hasX && (!hasY || x.Last < y.First):
			out, hasX = addFrom(out, x, start), false
		case hasY && (!hasX || y.Last < x.First):
			out, hasY = addFrom(out, y, start), false
		case !hasX:
			return slices.Clip(out)
		case x.First < y.First:
			out = addFrom(out, StateBatch{x.First, y.First - 1, x.State, x.Count}, start)
			x.First = y.First
		case y.First < x.First:
			out = addFrom(out, StateBatch{y.First, x.First - 1, y.State, y.Count}, start)
			y.First = x.First
		default:
			top := x
			if y.Count > x.Count || y.Count == x.Count && y.State > x.State {
				top = y
			}
			top.Last = min(x.Last, y.Last)
			out = addFrom(out, top, start)
			x.First, y.First = top.Last+1, top.Last+1
			hasX, hasY = x.First <= x.Last, y.First <= y.Last
		}
	}
}

// addFrom appends what of a batch lies at or above start.
func addFrom(out []StateBatch, b StateBatch, start kafka.Offset) []StateBatch {
	if b.Last < start {
		return out
	}
	b.First = max(b.First, start)
	return addBatch(out, b)
}

// tidy brings batches that may come in any order and overlap into the form that combine takes.
func tidy(batches []StateBatch) []StateBatch {
	if isTidy(batches) {
		return batches
	}
	if len(batches) == 1 {
		return nil // no offsets a log could have
	}
	half := len(batches) / 2
	return combine(tidy(batches[:half]), tidy(batches[half:]), 0)
}

func isTidy(batches []StateBatch) bool {
	next := kafka.Offset(0)
	for _, b := range batches {
		if b.First < next || b.Last < b.First || b.Last == math.MaxInt64 {
			return false
		}
		next = b.Last + 1
	}
	return true
}
