package partition

import (
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
)

// waiting is the high watermark and who waits for it. Its lock is a leaf, held for memory work only; waiters are signalled after it
// is released, so that a thousand waiting consumers do not hold up the producers (PAR-6).
type waiting struct {
	sync.Mutex
	durable   kafka.Offset // everything below is durable here
	stability stability
	acks      ackQueue
	fetches   fetchList
}

// committedLocked is where the high watermark may be: the smallest log end, as far as it is durable, over the in-sync replicas. This
// replica is the only one.
func (w *waiting) committedLocked() kafka.Offset { return w.durable }

// ackChunk is how many appends are completed between two holds of the lock.
const ackChunk = 64

// durableUpto is called by the engine, from a goroutine of its own, each time more of the log is durable.
func (p *Partition) durableUpto(durable kafka.Offset) {
	w := &p.waiting
	w.Lock()
	w.durable = max(w.durable, durable)
	hw := w.committedLocked()
	if hw <= p.HighWatermark() {
		w.Unlock()
		return
	}
	p.watermark.Store(int64(hw))
	raised := p.raiseStableLocked()
	var done [ackChunk]ackEntry
	bytes := 0
	for {
		n, size := w.acks.pop(hw, done[:])
		bytes += size
		if n == 0 {
			break
		}
		w.Unlock()
		for i := range done[:n] {
			if done[i].waiter != nil {
				done[i].waiter.complete()
			}
		}
		w.Lock()
	}
	// An append enters the queue after the engine has it and may find itself committed already; its bytes are told then. So the
	// watermark counts for a byte even if no bytes are known.
	bytes = max(bytes, 1)
	var room [16]*FetchWaiter
	woken := p.readableLocked(bytes, raised, room[:0])
	w.Unlock()
	p.watchers.tell(hw)
	for _, f := range woken {
		f.wake()
	}
}

// queueLocked enters an append into the queue, or completes it at once if it is committed. w is nil if nobody waits. The append lock is
// held, so that SetRole, which takes it before it fails the waiters, misses none.
func (p *Partition) queueLocked(l *openLog, next kafka.Offset, bytes int, w *AckWaiter, slot int32) {
	if w == nil && bytes == 0 {
		return
	}
	if w != nil {
		w.missing.Add(1)
	}
	q := &p.waiting
	q.Lock()
	if err := l.failed.Load(); err != nil {
		q.Unlock()
		if w != nil {
			w.fail(slot, *err)
		}
		return
	}
	if next > p.HighWatermark() {
		q.acks.push(ackEntry{next: next, waiter: w, slot: slot, bytes: int32(bytes)})
		q.Unlock()
		return
	}
	var room [16]*FetchWaiter
	woken := room[:0]
	if bytes > 0 {
		woken = p.readableLocked(bytes, false, woken)
	}
	q.Unlock()
	if w != nil {
		w.complete()
	}
	for _, f := range woken {
		f.wake()
	}
}

// failWaiters tells everybody who waits that it was in vain; fetches read again and see why.
func (p *Partition) failWaiters(why error) {
	p.waiting.Lock()
	acks := p.waiting.acks.takeAll()
	fetches := p.waiting.fetches.takeAll()
	p.waiting.Unlock()
	for i := range acks {
		if acks[i].waiter != nil {
			acks[i].waiter.fail(acks[i].slot, why)
		}
	}
	for _, f := range fetches {
		f.wake()
	}
	p.watchers.tell(kafka.NoOffset)
}

// Forget takes w off the appends that still wait here, because its time is out, and returns dst with their slots appended.
func (p *Partition) Forget(w *AckWaiter, dst []int32) []int32 {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	return p.waiting.acks.forget(w, dst)
}
