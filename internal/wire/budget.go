package wire

import "sync/atomic"

// smallFrame is up to which size, in bytes, a frame uses the lane of small ones: what control requests and fetches need.
const smallFrame = 64 << 10

// Budget bounds the bytes of all frames of a server. It has two lanes, so that producers of large batches that wait for a slow disk
// do not keep a heartbeat out, and a spare for one frame of the largest size.
//
// The spare is there because frames grow as their bytes come: connections that are all half way through a large frame could hold the
// whole lane and each wait for more (WIR-5). One of them then gets the spare, comes to its end, is answered and gives both back.
// Reserving the whole claim at once would need no spare, but a few connections that claim 95 MiB and send twelve bytes would then
// lock everybody out.
type Budget struct {
	small, large *Gate
	spare        chan struct{} // capacity 1; holds a token while a frame has the spare
	spareHeld    atomic.Int64  // bytes
	max          int
}

// NewBudget divides limit bytes; maxFrame is the largest frame wanted. See MaxFrame. A limit below 1 MiB counts as 1 MiB.
func NewBudget(limit int64, maxFrame int) *Budget {
	limit = max(limit, 1<<20)
	maxFrame = int(min(int64(maxFrame), limit/2))
	spare := int64(sizeOfClass(classOf(maxFrame)))
	if spare > limit/2 {
		spare = limit / 2
	}
	small := min((limit-spare)/4, 32<<20)
	return &Budget{
		small: NewGate(small),
		large: NewGate(limit - spare - small),
		spare: make(chan struct{}, 1),
		max:   min(maxFrame, int(spare)),
	}
}

// MaxFrame is the largest frame that fits, in bytes: what was wanted, or half of the limit if that is less.
func (b *Budget) MaxFrame() int { return b.max }

// BudgetStats is a Budget at one moment.
type BudgetStats struct {
	Small, Large GateStats
	SpareHeld    int64 // bytes of the one frame that uses the spare; 0: nobody does
}

// Used is all the bytes held.
func (s BudgetStats) Used() int64 { return s.Small.Used + s.Large.Used + s.SpareHeld }

// Stats tells how much is held.
func (b *Budget) Stats() BudgetStats {
	return BudgetStats{Small: b.small.Stats(), Large: b.large.Stats(), SpareHeld: b.spareHeld.Load()}
}

func (b *Budget) lane(claim int) *Gate {
	if claim <= smallFrame {
		return b.small
	}
	return b.large
}

// lease is what a frame holds of a budget.
type lease struct {
	budget *Budget
	gate   *Gate
	bytes  int64 // of gate
	spare  bool  // has the spare: it may be as large as frames get
}

// acquire takes the first bytes of a frame. Who holds nothing may wait as long as it takes.
func (l *lease) acquire(done <-chan struct{}, b *Budget, claim, n int) error {
	gate := b.lane(claim)
	taken, err := gate.Acquire(done, int64(n))
	if err != nil {
		return err
	}
	*l = lease{budget: b, gate: gate, bytes: taken}
	return nil
}

// extend makes the lease n bytes in all, from the lane or else from the spare.
func (l *lease) extend(done <-chan struct{}, n int) error {
	more := int64(n) - l.bytes
	if l.spare {
		l.budget.spareHeld.Store(more)
		return nil
	}
	if more <= 0 {
		return nil
	}
	if l.bytes+more <= l.gate.limit && l.gate.tryAcquire(more) {
		l.bytes += more
		return nil
	}
	// Asking a lane for more than it can ever give would block the lane; the spare is large enough for every frame.
	var granted chan struct{}
	var w *gateWaiter
	if l.bytes+more <= l.gate.limit {
		w = l.gate.enqueue(more)
		granted = w.granted
	}
	select {
	case <-granted:
		l.bytes += more
		return nil
	case l.budget.spare <- struct{}{}:
		l.spare = true
		l.budget.spareHeld.Store(more)
		if w != nil {
			l.gate.abandon(w)
		}
		return nil
	case <-done:
		if w != nil {
			l.gate.abandon(w)
		}
		return ErrGateClosed
	}
}

func (l *lease) release() {
	if l.gate == nil {
		return
	}
	l.gate.Release(l.bytes)
	if l.spare {
		l.budget.spareHeld.Store(0)
		<-l.budget.spare
	}
	*l = lease{}
}
