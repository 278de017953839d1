package partition

import (
	"sync"

	"github.com/rafka-io/rafka/internal/isr"
	"github.com/rafka-io/rafka/internal/kafka"
)

// waiting is the high watermark and who waits for it. Its lock is a leaf, held for memory work only; waiters are signalled after it
// is released, so that a thousand waiting consumers do not hold up the producers (PAR-6).
type waiting struct {
	sync.Mutex
	durable    kafka.Offset // everything below is durable here
	replicated bool         // there are other replicas, so that what is durable here is not yet committed
	isr        *isr.Leader  // of a leader with followers
	stability  stability
	acks       ackQueue // for the high watermark
	own        ackQueue // for what is durable here: acks=1 where there are followers
	fetches    fetchList
	news       *Subscription // the first of those that followers have
	trims      trims         // of a leader: where the logs of its followers start
}

// committedLocked is where the high watermark may be: the smallest log end, as far as it is durable, over the in-sync replicas. A follower knows
// only what its leader says. A leader that may be deposed moves nothing: it could be the last one to believe in its ISR.
func (p *Partition) committedLocked() kafka.Offset {
	w := &p.waiting
	switch {
	case !w.replicated:
		return w.durable
	case w.isr == nil || len(p.role.Load().ELR) > 0 || !p.leased():
		return p.HighWatermark()
	}
	return w.isr.HighWatermark(w.durable, p.settings.Load().MinISR, p.host.Now())
}

// waitsForOthers reports whether there are other replicas, so that what is durable here is not yet committed.
func (p *Partition) waitsForOthers() bool {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	return p.waiting.replicated
}

// firm is the offset below which neither a crash of this node nor a cut takes anything away: it is committed, and durable here.
func (p *Partition) firm() kafka.Offset {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	if p.waiting.replicated {
		return min(p.HighWatermark(), p.waiting.durable)
	}
	return p.HighWatermark()
}

// ackChunk is how many appends are completed between two holds of the lock.
const ackChunk = 64

// durableUpto is called by the engine, from a goroutine of its own, each time more of the log is durable.
func (p *Partition) durableUpto(durable kafka.Offset) {
	w := &p.waiting
	w.Lock()
	w.durable = max(w.durable, durable)
	p.advanceAndUnlock()
}

// advance moves the high watermark to where it may be, after something else than what is durable here has changed.
func (p *Partition) advance() {
	p.waiting.Lock()
	p.advanceAndUnlock()
}

// advanceAndUnlock moves the high watermark to where it may be, and completes what that commits. The lock of waiting is held, and released.
func (p *Partition) advanceAndUnlock() {
	w := &p.waiting
	if !w.own.isEmpty() {
		p.completeLocked(&w.own, w.durable)
	}
	hw := p.committedLocked()
	if hw <= p.HighWatermark() {
		w.Unlock()
		return
	}
	p.raiseAndUnlock(hw)
}

// raiseAndUnlock raises the high watermark to hw, completes what that commits and wakes who waits for it. The lock of waiting is held, and released.
func (p *Partition) raiseAndUnlock(hw kafka.Offset) {
	w := &p.waiting
	p.watermark.Store(int64(hw))
	if w.isr != nil {
		w.isr.Known(hw)
	}
	raised := p.raiseStableLocked()
	// An append enters the queue after the engine has it and may find itself committed already; its bytes are told then. So the
	// watermark counts for a byte even if no bytes are known.
	bytes := max(p.completeLocked(&w.acks, hw), 1)
	var room [16]*FetchWaiter
	woken := p.readableLocked(bytes, raised, room[:0])
	p.tellNewsLocked(false)
	w.Unlock()
	p.watchers.tell(hw)
	for _, f := range woken {
		f.wake()
	}
}

// completeLocked completes the appends of a queue up to an offset, and returns their bytes. The lock of waiting is held, but for moments between.
func (p *Partition) completeLocked(q *ackQueue, upto kafka.Offset) (bytes int) {
	w := &p.waiting
	var done [ackChunk]ackEntry
	for {
		n, size := q.pop(upto, done[:])
		if n == 0 {
			return bytes
		}
		bytes += size
		w.Unlock()
		for i := range done[:n] {
			if done[i].waiter != nil {
				done[i].waiter.complete()
			}
		}
		w.Lock()
	}
}

// ack says who waits for an append; the zero value: nobody.
type ack struct {
	waiter *AckWaiter
	slot   int32
	own    bool // for what is durable here only (acks=1), not for the in-sync replicas
}

// queueLocked enters an append into the queue, or completes it at once if it is committed, and wakes the followers that wait for it. The append lock
// is held, so that SetRole, which takes it before it fails the waiters, misses none.
func (p *Partition) queueLocked(l *openLog, next kafka.Offset, bytes int, a ack) {
	if a.waiter == nil && bytes == 0 {
		return
	}
	if a.waiter != nil {
		a.waiter.missing.Add(1)
	}
	q := &p.waiting
	q.Lock()
	if err := l.failed.Load(); err != nil {
		q.Unlock()
		if a.waiter != nil {
			a.waiter.fail(a.slot, *err)
		}
		return
	}
	var room [16]*FetchWaiter
	woken := room[:0]
	var durable *AckWaiter // waits for no more than what is durable here already
	if q.isr != nil {
		if bytes > 0 {
			p.appended.Add(int64(bytes))
			woken = q.fetches.take(woken, arrivals{throughEnd: {next, bytes}})
			p.tellNewsLocked(true)
		}
		if a.own && a.waiter != nil {
			if next > q.durable {
				q.own.push(ackEntry{next: next, waiter: a.waiter, slot: a.slot})
			} else {
				durable = a.waiter
			}
			a.waiter = nil
		}
	}
	if next > p.HighWatermark() {
		if a.waiter != nil || bytes > 0 {
			q.acks.push(ackEntry{next: next, waiter: a.waiter, slot: a.slot, bytes: int32(bytes)})
		}
		a.waiter = nil
	} else if bytes > 0 {
		woken = p.readableLocked(bytes, false, woken)
	}
	q.Unlock()
	if a.waiter != nil {
		a.waiter.complete()
	}
	if durable != nil {
		durable.complete()
	}
	for _, f := range woken {
		f.wake()
	}
}

// failWaiters tells everybody who waits that it was in vain; fetches read again and see why.
func (p *Partition) failWaiters(why error) {
	p.waiting.Lock()
	acks, own := p.waiting.acks.takeAll(), p.waiting.own.takeAll()
	fetches := p.waiting.fetches.takeAll()
	p.tellNewsLocked(true)
	p.waiting.Unlock()
	for _, entries := range [...][]ackEntry{acks, own} {
		for i := range entries {
			if entries[i].waiter != nil {
				entries[i].waiter.fail(entries[i].slot, why)
			}
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
	return p.waiting.own.forget(w, p.waiting.acks.forget(w, dst))
}
